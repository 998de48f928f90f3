"""An encoder on several devices: a session on each, and the others go on where one fails."""

import asyncio
import threading

import numpy as np
import pytest

from simila.backends.device_choice import choose_devices
from simila.backends.onnx_runtime import CpuRuntime
from simila.domain.inputs import TextInput
from simila.domain.model_repository import ModelRepository
from simila.engine.encoder_starter import EngineOptions
from simila.engine.model_pool import LoadState, ModelPool
from tiny_encoders import TinyEncoder
from tolerances import FLOAT32_VALUES

ENCODER = TinyEncoder("tiny", 1)
TEXTS = [TextInput(f"{first} {second}") for first in ("red", "green", "blue") for second in ("house", "tree", "car")]


class TwoGpus:
    """Two devices that are the CPU; `batches` counts those of each, the `broken` ones fail.

    At the `meeting`, if there is one, the first batch of each waits for that of the other.
    """

    uses_host_cores = False

    def __init__(self):
        self.batches = [0, 0]
        self.meeting = None
        self.broken = set()
        self.reason = None
        self.lock = threading.Lock()

    def devices(self):
        return ["left", "right"]

    def objection(self, graph):  # noqa: ARG002
        return self.reason

    def start(self, graph, device_number, threads):
        return OneGpu(self, device_number, CpuRuntime().start(graph, device_number, threads))


class OneGpu:
    def __init__(self, machine, number, backend):
        self._machine = machine
        self._number = number
        self._backend = backend

    def run(self, tensors):
        if self._number in self._machine.broken:
            raise RuntimeError("CUDA failure 700: an illegal memory access")
        with self._machine.lock:
            self._machine.batches[self._number] += 1
            is_first = self._machine.batches[self._number] == 1
        if is_first and self._machine.meeting:
            self._machine.meeting.wait(timeout=60)
        return self._backend.run(tensors)


@pytest.fixture
def machine():
    return TwoGpus()


@pytest.fixture
def pool(machine, tmp_path):
    devices = choose_devices("gpu", {"gpu": machine})
    options = EngineOptions(devices=devices, preprocess_threads=1, max_batch_items=1)
    pool = ModelPool([ENCODER.export(tmp_path)], ModelRepository(tmp_path / "models"), options)
    asyncio.run(pool.load())
    yield pool
    pool.close()


def embedded(pool):
    return asyncio.run(pool.get("tiny").embed(TEXTS))


def assert_right(found):
    assert found.failures == {}
    expected = np.stack([ENCODER.vector(text.text) for text in TEXTS])
    np.testing.assert_allclose(found.vectors, expected, atol=FLOAT32_VALUES)


def test_every_device_has_a_session_and_they_run_at_once(pool, machine):
    assert pool.status("tiny").state is LoadState.READY
    assert pool.status("tiny").devices == {"text": "gpu:0 (left), gpu:1 (right)"}
    machine.batches = [0, 0]
    machine.meeting = threading.Barrier(2)
    assert_right(embedded(pool))
    assert sum(machine.batches) == len(TEXTS)


def test_a_device_that_fails_leaves_its_batches_to_the_other(pool, machine, caplog):
    caplog.set_level("CRITICAL", logger="simila")
    machine.broken = {1}
    before = machine.batches[0]
    assert_right(embedded(pool))
    assert machine.batches[0] - before == len(TEXTS)


def test_what_was_built_meanwhile_is_taken_by_the_next_load(machine, tmp_path):
    machine.reason = "no engine is built"
    devices = choose_devices("tensorrt", {"tensorrt": machine, "cuda": TwoGpus()})
    manifest = ENCODER.export(tmp_path)
    pool = ModelPool([manifest], ModelRepository(tmp_path / "models"), EngineOptions(devices=devices))

    async def load_twice():
        await pool.load()
        before = pool.status("tiny").devices["text"]
        machine.reason = None
        return before, (await pool.load_version(manifest)).devices["text"]

    try:
        assert asyncio.run(load_twice()) == ("cuda:0 (left), cuda:1 (right)", "tensorrt:0 (left), tensorrt:1 (right)")
    finally:
        pool.close()
