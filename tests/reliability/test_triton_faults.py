"""What a real Triton that is full, stuck, killed or restarted does to the backend that speaks with it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tritonclient.grpc import InferenceServerClient

from simila.backends import nobody_waits, shared_tensors
from simila.backends.triton import TritonOptions
from simila.backends.triton_backend import TritonBackend
from simila.domain.errors import DeadlineExceeded, InferenceServerDown, ModelError, Overloaded
from simila.domain.manifest import Modality, TritonModel
from simila_models.export.triton_config import write_triton_config
from tiny_manifests import manifest_of, source
from tolerances import FLOAT32_VALUES
from triton_server import TritonServer, wait_for

MODEL = "tiny.image"
WRONG_BATCH = {"pixels": np.zeros((1, 3, 9, 9), dtype=np.uint8)}
ROWS_A_REQUEST, REQUESTS_IN_THE_QUEUE = 4, 2


@pytest.fixture(scope="module")
def server(installed_triton, tmp_path_factory) -> Iterator[TritonServer]:
    """Triton on a model that gives the mean of each channel."""
    repository = tmp_path_factory.mktemp("repository")
    write_model(repository / MODEL)
    with TritonServer.prepare(installed_triton, repository, [MODEL], tmp_path_factory.mktemp("triton")) as server:
        yield server.start()


def write_model(folder: Path) -> None:
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", 3, 8, 8])
    means = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 3])
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats"], ["embedding"], axes=[2, 3], keepdims=0),
    ]
    opset = [helper.make_opsetid("", 17)]
    (folder / "1").mkdir(parents=True)
    graph = helper.make_graph(nodes, "means", [pixels], [means])
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), folder / "1" / "model.onnx")
    limits = TritonModel(max_batch_rows=ROWS_A_REQUEST, max_queued_requests=REQUESTS_IN_THE_QUEUE)
    manifest = manifest_of(source("weights", b"", path="none")).model_copy(update={"triton": limits})
    write_triton_config(manifest, Modality.IMAGE, folder / "1" / "model.onnx", folder / "config.pbtxt")


@contextmanager
def backend_of(server, model=MODEL, **options) -> Iterator[TritonBackend]:
    backend = TritonBackend(server.address, model, "embedding", TritonOptions((server.address,), **options))
    try:
        yield backend
    finally:
        backend.close()


def batch(rows: int) -> dict[str, np.ndarray]:
    return {"pixels": np.random.default_rng(rows).integers(0, 256, (rows, 3, 8, 8), dtype=np.uint8)}


def assert_runs(backend: TritonBackend, rows: int = 3) -> None:
    tensors = batch(rows)
    expected = tensors["pixels"].mean(axis=(2, 3))
    np.testing.assert_allclose(backend.run(tensors), expected, rtol=FLOAT32_VALUES)


def answers(backend: TritonBackend) -> bool:
    try:
        return bool(backend.run(batch(1)).any())
    except InferenceServerDown:
        return False


def regions(server: TritonServer) -> dict[str, Path]:
    """What Triton has mapped, and the file of each."""
    with InferenceServerClient(server.address) as client:
        mapped = client.get_system_shared_memory_status().regions
        return {name: Path("/dev/shm", region.key.removeprefix("/")) for name, region in mapped.items()}


@pytest.mark.parametrize("shared_memory", [True, False])
def test_a_batch_goes_in_requests_that_the_model_takes(server, shared_memory):
    with backend_of(server, shared_memory=shared_memory) as backend:
        assert bool(regions(server)) is shared_memory
        ran = len(server.rows_run)
        assert_runs(backend, rows=10)
        assert server.rows_run[ran:] == [4, 4, 2]


def test_larger_and_smaller_batches_share_memory_in_turn_and_side_by_side(server):
    with backend_of(server) as backend, ThreadPoolExecutor(8) as pool:
        for rows in (1, 4, 2, 1):
            assert_runs(backend, rows)
        list(pool.map(lambda _: assert_runs(backend, 2), range(REQUESTS_IN_THE_QUEUE)))


def test_a_server_that_sees_other_memory_is_sent_the_tensors(server, monkeypatch, tmp_path):
    monkeypatch.setattr(shared_tensors, "SHARED_MEMORY_FOLDER", tmp_path)
    with backend_of(server) as backend:
        assert regions(server) == {}
        assert_runs(backend)


def test_nothing_of_shared_memory_is_left(server):
    with backend_of(server) as backend:
        assert_runs(backend)
        [file] = regions(server).values()
        assert not file.exists()
    assert regions(server) == {}
    dropped = TritonBackend(server.address, MODEL, "embedding", TritonOptions((server.address,)))
    assert regions(server)
    del dropped
    assert regions(server) == {}


def test_what_a_killed_process_left_is_unmapped_by_the_next(server):
    script = f"""
import os, signal
from simila.backends.triton import TritonOptions
from simila.backends.triton_backend import TritonBackend
backend = TritonBackend({server.address!r}, {MODEL!r}, "embedding", TritonOptions())
os.kill(os.getpid(), signal.SIGKILL)
"""
    with backend_of(server) as other:
        own = set(regions(server))
        subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
        assert len(regions(server)) == 2
        with backend_of(server):
            assert len(regions(server)) == 2
            assert own < set(regions(server))
        assert_runs(other)


def test_what_an_earlier_process_of_the_same_id_left_is_unmapped(server, monkeypatch):
    monkeypatch.setattr(shared_tensors, "PROCESS", f"{shared_tensors.HOST}{os.getpid()}.earlier.")
    with backend_of(server):
        [left] = regions(server)
        monkeypatch.undo()
        with backend_of(server):
            assert left not in regions(server)


def test_memory_that_triton_may_yet_read_is_used_again_but_not_unmapped(server):
    with backend_of(server, timeout_seconds=2.0) as backend:
        [region] = regions(server)
        with server.held_up(), pytest.raises(InferenceServerDown):
            backend.run(batch(1))
        wait_for(lambda: answers(backend))
        assert list(regions(server)) == [region]
    assert list(regions(server)) == [region]
    with InferenceServerClient(server.address) as client:
        client.unregister_system_shared_memory(region)


def test_a_version_that_unmaps_what_it_reads_is_sent_the_tensors(server, monkeypatch):
    monkeypatch.setattr(shared_tensors, "FIRST_SAFE_VERSION", (2, 9999))
    with backend_of(server) as backend:
        assert regions(server) == {}
        assert_runs(backend)


def test_a_full_queue_is_overload_and_what_is_in_it_is_done(server):
    outcomes = []

    def ask() -> None:
        try:
            assert_runs(backend, rows=1)
            outcomes.append("done")
        except Overloaded as error:
            outcomes.append(error.message)

    with backend_of(server) as backend:
        threads = [threading.Thread(target=ask) for _ in range(12)]
        with server.held_up():
            for thread in threads:
                thread.start()
            wait_for(lambda: outcomes)
        for thread in threads:
            thread.join()
        refusals = [outcome for outcome in outcomes if outcome != "done"]
        assert 0 < len(refusals) < len(outcomes)
        assert all("Exceeds maximum queue size" in refusal and MODEL in refusal for refusal in refusals)
        assert_runs(backend)


def test_what_nobody_waits_for_any_longer_is_not_run(server):
    with backend_of(server) as backend, ThreadPoolExecutor(1) as pool:
        ran = len(server.rows_run)
        with server.held_up() as reached:
            first = pool.submit(assert_runs, backend, 1)
            reached()
            watch = nobody_waits.set(lambda: True)
            with pytest.raises(DeadlineExceeded, match="nobody waits"):
                backend.run(batch(3))
            nobody_waits.reset(watch)
        first.result()
        assert_runs(backend, rows=2)
        assert server.rows_run[ran:] == [1, 2]


def test_a_server_that_is_stuck_is_down_until_it_goes_on(server):
    with backend_of(server, timeout_seconds=2.0) as backend:
        server.signal(signal.SIGSTOP)
        try:
            with pytest.raises(InferenceServerDown, match=r"2 s \(SIMILA_TRITON__TIMEOUT_SECONDS\)"):
                backend.run(batch(1))
        finally:
            server.signal(signal.SIGCONT)
        wait_for(lambda: answers(backend))
        assert_runs(backend)
    with InferenceServerClient(server.address) as client:
        client.unregister_system_shared_memory()


def test_an_error_of_the_model_is_not_one_of_the_server(server):
    with backend_of(server) as backend:
        with pytest.raises(ModelError, match=MODEL):
            backend.run(WRONG_BATCH)
        assert_runs(backend)


def test_a_model_that_is_not_there_is_named(server):
    with pytest.raises(InferenceServerDown, match=r"nope\.text"), backend_of(server, model="nope.text"):
        pass


def test_a_killed_server_is_down_and_its_successor_is_as_good(server):
    with backend_of(server) as backend:
        server.kill()
        with pytest.raises(InferenceServerDown, match=server.address):
            backend.run(batch(1))
        server.start()
        with backend_of(server) as successor:
            assert_runs(successor)


def test_a_server_that_was_restarted_meanwhile_has_forgotten_the_memory(server):
    with backend_of(server) as backend:
        assert_runs(backend)
        server.kill()
        server.start()
        with pytest.raises(InferenceServerDown):
            backend.run(batch(1))
