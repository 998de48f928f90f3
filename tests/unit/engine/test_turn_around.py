"""When a worker leaves its core to the event loop. A row is its own length; below `HELD_BELOW` it runs until let go."""

import asyncio
import threading
import time
from contextlib import contextmanager

import numpy as np

from simila.engine.micro_batcher import MicroBatcher
from simila.engine.waiting_rows import BatchLimits

TIMEOUT_SECONDS = 20
HELD_BELOW = 5
WIDE = BatchLimits(items=100, padded_length=10_000)


class Gated:
    """Writes its batches down; a batch with a row below `HELD_BELOW` waits for `let_go`."""

    def __init__(self):
        self.batches = []
        self.started = threading.Semaphore(0)
        self.gates = [threading.Event() for _ in range(HELD_BELOW)]

    def __call__(self, rows):
        self.batches.append(sorted(rows))
        self.started.release()
        for row in rows:
            if row < HELD_BELOW:
                assert self.gates[row].wait(2 * TIMEOUT_SECONDS)  # longer than anybody waits for a start
        return np.array([[row, -row] for row in rows], dtype=np.float32)

    def let_go(self, row):
        self.gates[row].set()

    async def has_started(self):
        assert await asyncio.to_thread(self.started.acquire, timeout=TIMEOUT_SECONDS)


@contextmanager
def batcher_of(run, *, workers, limits=WIDE):
    batcher = MicroBatcher("test", run, length=lambda row: row, dimension=2, limits=limits, workers=workers)
    try:
        yield batcher
    finally:
        for gate in run.gates:
            gate.set()
        batcher.close()


async def started(batcher, run, row):
    """The task of a request whose only row has begun to run."""
    task = asyncio.create_task(batcher.submit([row]))
    await run.has_started()
    return task


def until_one_runs(batcher):
    while batcher._batches_running != 1:
        time.sleep(0.001)


async def turns(count):
    for _ in range(count):
        await asyncio.sleep(0)


def test_rows_that_come_turns_after_an_answer_share_a_batch_while_the_other_worker_is_busy():
    run = Gated()

    async def scenario(batcher):
        busy, answered = await started(batcher, run, 1), await started(batcher, run, 2)
        run.let_go(2)
        await answered
        requests = []
        for row in (10, 11):
            requests.append(asyncio.create_task(batcher.submit([row])))
            await turns(1)
            if row == 10:
                assert not run.started.acquire(timeout=0.05)  # nothing begins until the loop has had more turns
            await turns(4)
        await asyncio.wait_for(asyncio.gather(*requests), TIMEOUT_SECONDS)
        run.let_go(1)
        await busy

    with batcher_of(run, workers=2) as batcher:
        asyncio.run(scenario(batcher))
    assert run.batches == [[1], [2], [10, 11]]


def test_a_row_is_run_at_once_where_no_answer_is_under_way():
    run = Gated()

    async def scenario(batcher):
        busy = await started(batcher, run, 1)
        lone = asyncio.create_task(batcher.submit([10]))
        await turns(1)
        assert run.started.acquire(timeout=TIMEOUT_SECONDS)  # while the loop has not one turn more
        run.let_go(1)
        await asyncio.gather(busy, lone)

    with batcher_of(run, workers=2) as batcher:
        asyncio.run(scenario(batcher))
    assert run.batches == [[1], [10]]


def at_once_after_an_answer(rows, *, workers, limits=WIDE):
    """The batch that begins before the loop has a turn more: one worker is busy, an answer has just been given."""
    run = Gated()

    async def scenario(batcher):
        busy, answered = await started(batcher, run, 1), await started(batcher, run, 2)
        run.let_go(2)
        await answered
        requests = [asyncio.create_task(batcher.submit([row])) for row in rows]
        await turns(1)
        assert run.started.acquire(timeout=TIMEOUT_SECONDS)
        first = run.batches[2]
        run.let_go(1)
        await asyncio.gather(busy, *requests)
        return first

    with batcher_of(run, workers=workers, limits=limits) as batcher:
        return asyncio.run(scenario(batcher))


def test_who_is_not_the_last_free_worker_waits_for_nothing():
    assert at_once_after_an_answer([10], workers=3) == [10]


def test_a_full_batch_waits_for_nothing():
    limits = BatchLimits(items=2, padded_length=10_000)
    assert 10 in at_once_after_an_answer([10, 10], workers=2, limits=limits)


def test_what_runs_counts_towards_a_workers_share():
    run = Gated()

    async def scenario(batcher):
        first = asyncio.create_task(batcher.submit([1, 2]))
        await run.has_started()
        await run.has_started()
        second = asyncio.create_task(batcher.submit([10] * 5))
        await turns(1)
        run.let_go(2)
        await run.has_started()
        assert run.batches[2] == [10, 10, 10]  # half of the five that wait and the one that runs
        run.let_go(1)
        await asyncio.gather(first, second)

    with batcher_of(run, workers=2) as batcher:
        asyncio.run(scenario(batcher))
    assert sorted(map(len, run.batches)) == [1, 1, 2, 3]


def test_an_event_loop_that_has_ended_holds_nobody_back():
    run = Gated()

    async def leave(batcher):
        return await started(batcher, run, 2)

    async def scenario(batcher):
        busy = await started(batcher, run, 1)
        run.let_go(2)
        await asyncio.to_thread(until_one_runs, batcher)
        answer = await asyncio.wait_for(batcher.submit([10]), TIMEOUT_SECONDS)
        run.let_go(1)
        await busy
        return answer

    with batcher_of(run, workers=2) as batcher:
        asyncio.run(leave(batcher))  # cancels its task, and closes its loop
        assert asyncio.run(scenario(batcher)).vectors.tolist() == [[10, -10]]
