"""What a failing, a slow and a dying backend do to requests: the real engine, with faults put before ONNX Runtime."""

import asyncio
import gc
import logging
import random
import threading
import time
import zlib
from dataclasses import replace

import numpy as np
import pytest

from simila.backends.device_choice import choose_devices
from simila.backends.onnx_runtime import CpuRuntime
from simila.domain.errors import ModelError, NotReady
from simila.domain.inputs import TextInput
from simila.domain.manifest import Modality
from simila.domain.vectors import unit_rows
from simila.engine.encoder_starter import EngineOptions
from simila.engine.model_pool import LoadState, ModelPool
from simila.engine.pending_request import PendingRequest
from simila.services.readiness import ReadinessService
from simila_models.catalogue import bundled_manifests
from tolerances import FLOAT32_VALUES

MINILM = "all-minilm-l6-v2"
TOWER = f"the text tower of {MINILM}"
TIMEOUT_SECONDS = 60
TEXTS = [TextInput(" ".join(["bicycle"] * (1 + number % 12) + [str(number)])) for number in range(60)]
POISON = TextInput("poison")
POISON_TOKEN = 9947
OPTIONS = EngineOptions(threads=1, preprocess_threads=2, workers=2, max_queue_seconds=600.0)


class Faults:
    """A runtime's faults: `before_run` is called with the tensors; backends started before `kill` are dead."""

    uses_host_cores = True

    def __init__(self):
        self.built = 0
        self.dead = 0
        self.runs = 0
        self.build_error = None
        self.before_run = lambda tensors: None  # noqa: ARG005
        self.instead_of_run = None

    def devices(self):
        return ["ONNX Runtime with faults"]

    def start(self, graph, device_number, threads):
        if self.build_error:
            raise self.build_error
        self.built += 1
        return FaultyBackend(self, self.built, CpuRuntime().start(graph, device_number, threads))

    def kill(self, build_error=None):
        self.build_error = build_error
        self.dead = self.built


class FaultyBackend:
    def __init__(self, faults, number, real):
        self._faults = faults
        self._number = number
        self._real = real

    def run(self, tensors):
        self._faults.runs += 1
        self._faults.before_run(tensors)
        if self._number <= self._faults.dead:
            raise RuntimeError("CUDA failure 700: an illegal memory access")
        is_canary = not tensors["input_ids"].any()
        return self._real.run(tensors) if is_canary else (self._faults.instead_of_run or self._real.run)(tensors)


def refuse_poison(tensors):
    if (tensors["input_ids"] == POISON_TOKEN).any():
        raise ValueError("this row is poison")


def vectors_of_ids(tensors):
    """A direction of its own for each row, without the time that a model takes."""
    keys = [zlib.crc32(ids[mask == 1].tobytes()) for ids, mask in zip(*tensors.values(), strict=True)]
    rows = [np.random.default_rng(key).normal(size=384).astype(np.float32) for key in keys]
    return unit_rows(np.stack(rows))


@pytest.fixture
def faults(caplog):
    caplog.set_level(logging.CRITICAL, logger="simila")
    return Faults()


@pytest.fixture
def run(faults, exported_repository):
    """Load MiniLM, run a scenario on it, close it; no thread, task or future may be left."""

    def run_scenario(scenario, **options):
        async def load_and_run():
            devices = choose_devices("cpu", {"cpu": faults})
            pool = ModelPool(
                [bundled_manifests()[MINILM]], exported_repository, replace(OPTIONS, devices=devices, **options)
            )
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS * 4):
                    await pool.load()
                    await scenario(pool)
            finally:
                pool.close()
            await eventually(lambda: asyncio.all_tasks() == {asyncio.current_task()})

        threads = set(threading.enumerate())
        asyncio.run(load_and_run())
        assert set(threading.enumerate()) <= threads
        assert [future for future in left_behind(asyncio.Future) if is_unfinished(future)] == []
        assert left_behind(PendingRequest) == []

    gc.collect()
    gc.freeze()  # what is there already is of other tests, and to look through it again takes a second each time
    yield run_scenario
    gc.unfreeze()


async def readiness(pool, timeout_seconds=TIMEOUT_SECONDS):
    return (await ReadinessService(pool, timeout_seconds=timeout_seconds).check()).encoders[MINILM]


def left_behind(kind):
    """The objects of a kind that are there now, of those that were made since the others were frozen."""
    gc.collect()
    return [kept for kept in gc.get_objects() if issubclass(type(kept), kind)]


def is_unfinished(future):
    """Whether it never will be done; the server of other tests runs on in a loop of its own."""
    return not future.done() and future.get_loop().is_closed()


async def eventually(condition):
    for _ in range(100 * TIMEOUT_SECONDS):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to be")


def is_restarting():
    return f"restart-{TOWER}" in {thread.name for thread in threading.enumerate()}


async def is_ready_again(pool):
    await eventually(lambda: not is_restarting())
    assert await readiness(pool) == "ready"


def test_a_failing_backend_fails_the_row_that_it_cannot_run_and_no_other(run, faults):
    async def scenario(pool):
        encoder = pool.get(MINILM)
        expected = (await encoder.embed(TEXTS)).vectors
        faults.before_run = refuse_poison
        inputs = [*TEXTS[:20], POISON, *TEXTS[20:40], POISON, *TEXTS[40:]]
        embedded = await encoder.embed(inputs)
        assert set(embedded.failures) == {20, 41}
        assert all(type(error) is ModelError for error in embedded.failures.values())
        good = [position for position in range(len(inputs)) if position not in embedded.failures]
        np.testing.assert_allclose(embedded.vectors[good], expected, atol=FLOAT32_VALUES)
        assert await readiness(pool) == "ready"
        assert faults.built == 1, "a bad row is no reason to restart"

    run(scenario)


def test_a_dead_backend_refuses_at_once_says_why_and_comes_back(run, faults):
    async def scenario(pool):
        encoder = pool.get(MINILM)
        expected = (await encoder.embed(TEXTS)).vectors
        faults.kill(build_error=OSError("no such device"))
        for inputs in (TEXTS, TEXTS[:1]):
            refused = await encoder.embed(inputs)  # while no restart succeeds
            assert set(refused.failures) == set(range(len(inputs)))
            for error in refused.failures.values():
                assert type(error) is NotReady
                assert error.message.startswith(f"{TOWER} is down and is restarted ")
        state = await readiness(pool)
        assert state.startswith(f"{TOWER} is down and is restarted ")
        assert state.endswith(("CUDA failure 700: an illegal memory access", "OSError: no such device"))
        faults.build_error = None
        await is_ready_again(pool)
        np.testing.assert_allclose((await encoder.embed(TEXTS)).vectors, expected, atol=FLOAT32_VALUES)
        assert faults.built == 2

    run(scenario)


def test_requests_on_their_way_when_it_dies_are_all_answered(run, faults):
    async def scenario(pool):
        encoder = pool.get(MINILM)
        expected = (await encoder.embed(TEXTS)).vectors
        answers = [await encoder.embed(TEXTS[:1])]
        faults.before_run = lambda _: faults.dead or faults.kill()
        answers += await asyncio.gather(*(encoder.embed([text]) for text in TEXTS[1:]))
        refused = [answer for answer in answers if answer.failures]
        assert 0 < len(refused) < len(TEXTS)
        assert {type(answer.failures[0]) for answer in refused} == {NotReady}
        for answer, vector in zip(answers, expected, strict=True):
            if not answer.failures:
                np.testing.assert_allclose(answer.vectors[0], vector, atol=FLOAT32_VALUES)
        await is_ready_again(pool)

    run(scenario)


def test_a_slow_backend_holds_up_neither_the_loop_nor_those_who_give_up(run, faults):
    async def scenario(pool):
        encoder, go_on = pool.get(MINILM), threading.Event()
        faults.before_run = lambda _: go_on.wait(TIMEOUT_SECONDS)
        assert "0.05 s" in await readiness(pool, timeout_seconds=0.05)
        runs = faults.runs
        impatient = [asyncio.create_task(encoder.embed(TEXTS)) for _ in range(20)]
        await asyncio.sleep(0.05)
        for task in impatient:
            task.cancel()
        outcomes = await asyncio.gather(*impatient, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {asyncio.CancelledError}
        assert not go_on.is_set(), "they left while it stood still"
        go_on.set()
        assert await readiness(pool) == "ready"
        assert faults.runs - runs <= 2 * OPTIONS.workers + 1, "what nobody waits for is not run"

    run(scenario)


def test_closing_while_it_is_down_ends_the_restarts_and_answers_everybody(run, faults):
    all_wait = threading.Event()

    def die_when_all_wait(_):
        assert all_wait.wait(TIMEOUT_SECONDS)
        faults.kill(build_error=OSError("no such device"))

    async def scenario(pool):
        faults.before_run = die_when_all_wait
        requests = [asyncio.create_task(pool.get(MINILM).embed(TEXTS)) for _ in range(20)]
        await eventually(lambda: len(left_behind(PendingRequest)) == len(requests))
        all_wait.set()
        await eventually(is_restarting)
        await asyncio.to_thread(pool.close)
        assert not is_restarting()
        for answer in await asyncio.gather(*requests):
            assert {type(error) for error in answer.failures.values()} == {NotReady}

    run(scenario)


def test_a_backend_that_dies_while_its_certificate_is_checked_is_not_served_and_not_restarted(run, faults):
    def die_after_the_canary(tensors):
        if tensors["input_ids"].any():
            faults.kill(build_error=OSError("no such device"))

    async def scenario(pool):
        assert pool.status(MINILM).state is LoadState.FAILED
        assert pool.status(MINILM).error.startswith(f"{TOWER} is down")
        assert not is_restarting()

    faults.before_run = die_after_the_canary
    run(scenario)


def test_neither_certificate_nor_readiness_is_answered_from_the_cache(run, faults):
    async def scenario(pool):
        assert pool.cache_statistics.entries == 0, "the golden texts passed it by"
        encoder = pool.get(MINILM)
        await encoder.embed([TextInput("ready"), *TEXTS])
        faults.kill(build_error=OSError("no such device"))
        assert (await readiness(pool)).startswith(f"{TOWER} is down")
        assert not (await encoder.embed(TEXTS)).failures
        assert pool.cache_statistics.hits == len(TEXTS)

    run(scenario, cache_bytes=2**20)


@pytest.mark.parametrize("cache_bytes", [0, 30_000])
def test_a_soak_of_cancelled_requests_leaves_nothing_behind(run, faults, cache_bytes):
    chance = random.Random(3)

    def run_or_fail(tensors):
        refuse_poison(tensors)
        time.sleep(0.001)

    async def request(encoder, expected, inputs):
        await asyncio.sleep(chance.random())
        embedded = await encoder.embed([TEXTS[index] if index is not None else POISON for index in inputs])
        assert set(embedded.failures) == {position for position, index in enumerate(inputs) if index is None}
        for position, index in enumerate(inputs):
            if index is not None:
                np.testing.assert_array_equal(embedded.vectors[position], expected[index])

    async def give_up(task):
        await asyncio.sleep(1.2 * chance.random())
        return task.cancel()

    async def scenario(pool):
        faults.instead_of_run = vectors_of_ids
        encoder = pool.get(MINILM)
        expected = (await encoder.embed(TEXTS)).vectors
        faults.before_run = run_or_fail
        choices = [[*range(len(TEXTS)), None][chance.randrange(61)] for _ in range(8000)]
        tasks = [
            asyncio.create_task(request(encoder, expected, choices[4 * n : 4 * n + chance.randint(1, 4)]))
            for n in range(2000)
        ]
        given_up = await asyncio.gather(*(give_up(task) for task in chance.sample(tasks, len(tasks) // 3)))
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        cancelled = [isinstance(outcome, asyncio.CancelledError) for outcome in outcomes]
        assert [outcome for outcome in outcomes if isinstance(outcome, Exception)] == []
        assert sum(cancelled) == sum(given_up) > 200
        await nothing_waits(encoder)
        assert faults.built == 1
        if cache_bytes:
            assert pool.cache_statistics.size_bytes <= cache_bytes
            assert encoder._served[Modality.TEXT]._computations == {}

    run(scenario, cache_bytes=cache_bytes)


async def nothing_waits(encoder):
    """Wait for what was cancelled while it ran, then look into the queue."""
    tower = encoder._towers[Modality.TEXT]
    waiting = tower._queue._batcher._waiting
    await eventually(lambda: not tower._queue._admission.units_in_flight)
    await encoder.check_alive()
    await eventually(lambda: not waiting._turns)
    assert not waiting._by_length
    assert len(waiting) == 0
