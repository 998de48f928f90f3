"""What a batch holds, and that nobody waits for ever. A row here is its own length and its own vector."""

import asyncio
import contextlib
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simila.backends import nobody_waits
from simila.domain.errors import DeadlineExceeded, ModelError, NotReady, Overloaded
from simila.engine.micro_batcher import MicroBatcher
from simila.engine.waiting_rows import BatchLimits

WIDE = BatchLimits(items=100, padded_length=10_000)
TIMEOUT_SECONDS = 60


class Runs:
    """A backend that writes its batches down, and waits to be let go where it is told to."""

    def __init__(self, *, held=False, bad=()):
        self.batches = []
        self.bad = frozenset(bad)
        self.started = threading.Semaphore(0)
        self.go_on = threading.Event()
        if not held:
            self.go_on.set()

    def __call__(self, rows):
        self.batches.append(list(rows))
        self.started.release()
        assert self.go_on.wait(TIMEOUT_SECONDS)
        for row in rows:
            if row in self.bad:
                raise ValueError(f"cannot run {row}")
        return np.array([[row, -row] for row in rows], dtype=np.float32)

    async def has_started(self):
        assert await asyncio.to_thread(self.started.acquire, timeout=TIMEOUT_SECONDS)


@contextmanager
def batcher_of(run, limits=WIDE):
    batcher = MicroBatcher("test", run, length=lambda row: row, dimension=2, limits=limits)
    try:
        yield batcher
    finally:
        if isinstance(run, Runs):
            run.go_on.set()
        batcher.close()
        assert not any(thread.is_alive() for thread in batcher._threads)


async def in_time(awaitable):
    async with asyncio.timeout(TIMEOUT_SECONDS):
        return await awaitable


async def waiting(batcher, *requests):
    """Submit each list of rows, in this order, and return as soon as all wait."""
    tasks = []
    for rows in requests:
        tasks.append(asyncio.create_task(batcher.submit(rows)))
        await asyncio.sleep(0)
    return tasks


def until_closed(batcher):
    while not batcher._closed:
        time.sleep(0.001)


def vectors_of(rows):
    return [[row, -row] for row in rows]


def test_a_lone_request_runs_at_once_and_comes_back_in_its_order():
    run = Runs()
    with batcher_of(run) as batcher:
        answer = asyncio.run(in_time(batcher.submit([5, 2, 9])))
    assert answer.vectors.tolist() == vectors_of([5, 2, 9])
    assert answer.vectors.dtype == np.float32
    assert answer.failures == {}
    assert [sorted(batch) for batch in run.batches] == [[2, 5, 9]]


def test_a_batch_is_what_waited_while_the_last_one_ran():
    run = Runs(held=True)

    async def scenario(batcher):
        first = await waiting(batcher, [1])
        await run.has_started()
        rest = await waiting(batcher, [2, 3], [4], [5])
        run.go_on.set()
        return await in_time(asyncio.gather(*first, *rest))

    with batcher_of(run) as batcher:
        answers = asyncio.run(scenario(batcher))
    assert [sorted(batch) for batch in run.batches] == [[1], [2, 3, 4, 5]]
    assert [answer.vectors.tolist() for answer in answers] == [vectors_of(rows) for rows in ([1], [2, 3], [4], [5])]


def batches_of(limits, *requests):
    """The batches that follow a first one, during which the requests came."""
    run = Runs(held=True)

    async def scenario(batcher):
        tasks = await waiting(batcher, [1])
        await run.has_started()
        tasks += await waiting(batcher, *requests)
        run.go_on.set()
        await in_time(asyncio.gather(*tasks))

    with batcher_of(run, limits) as batcher:
        asyncio.run(scenario(batcher))
    return [sorted(batch) for batch in run.batches[1:]]


def test_no_batch_holds_more_rows_than_allowed():
    assert batches_of(BatchLimits(3, 1000), [10, 11, 12, 13], [14, 15, 16]) == [[10, 11, 12], [13, 14, 15], [16]]


def test_like_lengths_go_together():
    assert batches_of(BatchLimits(3, 1000), [10, 200], [11, 201], [12, 202]) == [[10, 11, 12], [200, 201, 202]]


def test_no_batch_is_longer_than_allowed_when_padded():
    assert batches_of(BatchLimits(8, 60), [10] * 8, [30, 30, 30]) == [[10] * 6, [30, 30], [10, 10], [30]]


def test_a_row_over_the_limit_runs_alone():
    assert batches_of(BatchLimits(8, 60), [61], [100], [5, 5]) == [[61], [100], [5, 5]]


def test_the_oldest_row_of_the_next_request_is_in_the_next_batch_however_odd_its_length():
    batches = batches_of(BatchLimits(2, 1000), [500], [7, 7, 7], [500], [7])
    assert batches == [[500, 500], [7, 7], [7, 7]]


def test_failing_rows_fail_alone_and_their_neighbours_get_vectors():
    run = Runs(held=True, bad=[13, 17])

    async def scenario(batcher):
        tasks = await waiting(batcher, [1])
        await run.has_started()
        tasks += await waiting(batcher, list(range(10, 15)), list(range(15, 20)), [20])
        run.go_on.set()
        return await in_time(asyncio.gather(*tasks))

    with batcher_of(run) as batcher:
        _, first, second, third = asyncio.run(scenario(batcher))
    assert first.vectors.tolist() == [[10, -10], [11, -11], [12, -12], [0, 0], [14, -14]]
    assert second.vectors.tolist() == [[15, -15], [16, -16], [0, 0], [18, -18], [19, -19]]
    assert {position: str(error) for position, error in first.failures.items()} == {3: "cannot run 13"}
    assert {position: str(error) for position, error in second.failures.items()} == {2: "cannot run 17"}
    assert (third.vectors.tolist(), third.failures) == ([[20, -20]], {})


@pytest.mark.parametrize("error", [NotReady("down"), Overloaded("full"), DeadlineExceeded("late")])
def test_an_error_of_the_moment_fails_the_whole_batch_at_once(error):
    batches = []

    def run(rows):
        batches.append(list(rows))
        raise error

    with batcher_of(run) as batcher:
        answer = asyncio.run(in_time(batcher.submit([1, 2, 3])))
    assert batches == [[1, 2, 3]]
    assert answer.failures == dict.fromkeys(range(3), error)


def test_the_batcher_outlives_a_failure():
    with batcher_of(Runs(bad=[3])) as batcher:
        failed = asyncio.run(in_time(batcher.submit([3])))
        answer = asyncio.run(in_time(batcher.submit([4])))
    assert str(failed.failures[0]) == "cannot run 3"
    assert answer.vectors.tolist() == [[4, -4]]


@pytest.mark.parametrize("shape", [(1, 2), (9, 2), (4, 3), (0, 2), (2,), ()])
def test_an_answer_of_the_wrong_shape_is_bisected_like_a_failure(shape):
    def run(rows):
        return np.full((1, 2) if len(rows) == 1 else shape, 7, dtype=np.float32)

    with batcher_of(run) as batcher:
        together = asyncio.run(in_time(batcher.submit([1, 2, 3, 4])))
        afterwards = asyncio.run(in_time(batcher.submit([5])))
    assert (together.vectors.tolist(), together.failures) == ([[7, 7]] * 4, {})
    assert afterwards.vectors.tolist() == [[7, 7]]


def test_a_row_whose_answer_has_the_wrong_shape_fails_with_both_shapes():
    with batcher_of(lambda rows: np.zeros((len(rows), 3), dtype=np.float32)) as batcher:
        answer = asyncio.run(in_time(batcher.submit([1, 2])))
    assert answer.vectors.tolist() == [[0, 0], [0, 0]]
    for error in answer.failures.values():
        assert isinstance(error, ModelError)
        assert error.message == "the encoder returned an array of shape (1, 3), not (1, 2)"


def test_an_abandoned_request_is_not_run():
    run = Runs(held=True)

    async def scenario(batcher):
        (running,) = await waiting(batcher, [1])
        await run.has_started()
        leaves, stays = await waiting(batcher, [50, 51], [60])
        leaves.cancel()
        await asyncio.sleep(0)
        run.go_on.set()
        await in_time(asyncio.gather(running, stays))
        assert leaves.cancelled()

    with batcher_of(run) as batcher:
        asyncio.run(scenario(batcher))
    assert run.batches == [[1], [60]]


def test_a_request_abandoned_while_it_runs_disturbs_nobody():
    run = Runs(held=True)

    async def scenario(batcher):
        (leaves,) = await waiting(batcher, [1])
        await run.has_started()
        leaves.cancel()
        await asyncio.sleep(0)
        run.go_on.set()
        return await in_time(batcher.submit([2]))

    with batcher_of(run) as batcher:
        assert asyncio.run(scenario(batcher)).vectors.tolist() == [[2, -2]]


def test_a_backend_can_tell_whether_all_requests_of_its_batch_have_left():
    looks = []

    class Looks(Runs):
        def __call__(self, rows):
            vectors = super().__call__(rows)
            while len(rows) == 2 and True not in looks:
                looks.append(nobody_waits.get()())
                self.started.release()
                assert may_look.acquire(timeout=TIMEOUT_SECONDS)
            return vectors

    async def scenario(batcher):
        tasks = await waiting(batcher, [1])
        await run.has_started()
        tasks += await waiting(batcher, [50], [51])
        run.go_on.set()
        await run.has_started()
        for task in tasks[1:]:
            await run.has_started()
            task.cancel()
            may_look.release()
        await run.has_started()
        may_look.release()

    run, may_look = Looks(held=True), threading.Semaphore(0)
    with batcher_of(run) as batcher:
        asyncio.run(scenario(batcher))
    assert looks == [False, False, True]


def test_an_event_loop_that_ends_while_its_rows_run_ends_nothing_else():
    run = Runs(held=True)

    async def leave(batcher):
        task = asyncio.create_task(batcher.submit([1]))
        await run.has_started()
        return task

    with batcher_of(run) as batcher:
        asyncio.run(leave(batcher))  # cancels the task and closes its loop
        run.go_on.set()
        assert asyncio.run(in_time(batcher.submit([2]))).vectors.tolist() == [[2, -2]]


def test_close_finishes_what_runs_and_fails_what_waits():
    run = Runs(held=True)

    async def close_while_running(batcher):
        (running,) = await waiting(batcher, [1])
        await run.has_started()
        (waits,) = await waiting(batcher, [2, 3])
        closing = asyncio.create_task(asyncio.to_thread(batcher.close))
        await asyncio.to_thread(until_closed, batcher)
        run.go_on.set()
        await in_time(closing)
        return await in_time(asyncio.gather(running, waits))

    with batcher_of(run) as batcher:
        finished, failed = asyncio.run(close_while_running(batcher))
        with pytest.raises(NotReady, match="the encoder is shutting down"):
            asyncio.run(in_time(batcher.submit([4])))
    assert finished.vectors.tolist() == [[1, -1]]
    assert {position: type(error) for position, error in failed.failures.items()} == {0: NotReady, 1: NotReady}
    assert run.batches == [[1]]


def test_closing_an_idle_batcher_ends_its_thread_and_may_be_repeated():
    with batcher_of(Runs()) as batcher:
        batcher.close()
        assert not any(thread.is_alive() for thread in batcher._threads)


LENGTHS = st.lists(st.lists(st.integers(1, 120), min_size=1, max_size=12), min_size=1, max_size=12)


@settings(max_examples=60)
@given(
    first=st.integers(1, 120),
    requests=LENGTHS,
    limits=st.builds(BatchLimits, st.integers(1, 9), st.integers(1, 400)),
    bad=st.sets(st.integers(1, 120), max_size=3),
)
def test_every_row_gets_its_own_vector_and_every_batch_keeps_the_limits(first, requests, limits, bad):
    run = Runs(held=True, bad=bad)

    async def scenario(batcher):
        tasks = await waiting(batcher, [first])
        await run.has_started()
        tasks += await waiting(batcher, *requests)
        run.go_on.set()
        return await in_time(asyncio.gather(*tasks))

    with batcher_of(run, limits) as batcher:
        answers = asyncio.run(scenario(batcher))
    for rows, answer in zip([[first], *requests], answers, strict=True):
        assert answer.vectors.tolist() == [[0, 0] if row in bad else [row, -row] for row in rows]
        assert sorted(answer.failures) == [position for position, row in enumerate(rows) if row in bad]
    for batch in run.batches:
        assert len(batch) <= limits.items
        assert len(batch) == 1 or max(batch) * len(batch) <= limits.padded_length


def test_two_hundred_requests_with_random_cancels_leave_nothing_hanging():
    chance = random.Random(0)
    run = Runs(bad=[7])

    async def request(batcher, number):
        rows = [chance.randint(1, 50) for _ in range(chance.randint(1, 5))]
        await asyncio.sleep(chance.random() / 50)
        answer = await batcher.submit(rows)
        assert answer.vectors.tolist() == [[0, 0] if row == 7 else [row, -row] for row in rows]
        assert sorted(answer.failures) == [position for position, row in enumerate(rows) if row == 7]
        return number

    async def scenario(batcher):
        tasks = [asyncio.create_task(request(batcher, number)) for number in range(200)]
        leavers = set(chance.sample(range(200), 60))
        for number in leavers:
            await asyncio.sleep(chance.random() / 2000)
            tasks[number].cancel()
        outcomes = await in_time(asyncio.gather(*tasks, return_exceptions=True))
        assert [outcome for number, outcome in enumerate(outcomes) if number not in leavers] == [
            number for number in range(200) if number not in leavers
        ]
        assert all(isinstance(outcomes[number], int | asyncio.CancelledError) for number in leavers)
        return await in_time(batcher.submit([1]))

    with batcher_of(run, BatchLimits(8, 200)) as batcher:
        assert asyncio.run(scenario(batcher)).vectors.tolist() == [[1, -1]]
        assert len(batcher._waiting) == 0


def test_requests_from_several_event_loops_share_one_batcher():
    def serve(batcher, row):
        return asyncio.run(in_time(batcher.submit([row]))).vectors.tolist()

    with batcher_of(Runs()) as batcher, ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda row: serve(batcher, row), range(1, 40)))
    assert answers == [[[row, -row]] for row in range(1, 40)]


def test_workers_run_batches_side_by_side_and_share_what_waits():
    both_run = threading.Barrier(2, timeout=TIMEOUT_SECONDS)

    def run(rows):
        both_run.wait()  # one worker alone would never get past it
        return np.array([[row, -row] for row in rows], dtype=np.float32)

    batcher = MicroBatcher("test", run, length=lambda row: row, dimension=2, limits=WIDE, workers=2)
    with contextlib.closing(batcher):
        answer = asyncio.run(in_time(batcher.submit([1, 2])))
    assert answer.vectors.tolist() == [[1, -1], [2, -2]]


def test_a_request_of_one_row_is_not_behind_all_the_rows_of_a_large_one():
    batches = batches_of(BatchLimits(2, 1000), list(range(100, 120)), [500])
    assert [500] in batches[:2]


def test_timings_tell_waiting_from_running():
    run = Runs(held=True)

    async def scenario(batcher):
        passed = [time.perf_counter()]
        (first,) = await waiting(batcher, [1])
        await run.has_started()
        passed.append(time.perf_counter())
        (second,) = await waiting(batcher, [2])
        passed.append(time.perf_counter())
        await asyncio.sleep(0.1)
        passed.append(time.perf_counter())
        run.go_on.set()
        answers = await in_time(asyncio.gather(first, second))
        return answers, np.diff([*passed, time.perf_counter()])

    with batcher_of(run) as batcher:
        (first, second), (starting, _, held, finishing) = asyncio.run(scenario(batcher))
    assert first.queue_seconds < starting
    assert first.inference_seconds > held
    assert second.queue_seconds > held
    assert second.inference_seconds < finishing


def test_each_batch_is_reported():
    reports = []
    batcher = MicroBatcher("test", Runs(), length=lambda row: row, dimension=2, limits=WIDE, observe=reports.append)
    with contextlib.closing(batcher):
        asyncio.run(in_time(batcher.submit([3, 5])))
    assert [(report.rows, report.padded_length, report.length) for report in reports] == [(2, 10, 8)]
    assert 0 < reports[0].seconds < TIMEOUT_SECONDS
