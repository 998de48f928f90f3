"""Searches that wait for the same share a call of the index; each gets its own hits, and nobody waits for nothing."""

import asyncio
import threading
from contextlib import suppress

import numpy as np
import pytest

from simila.domain.errors import CollectionUnavailable, Overloaded
from simila.index.collection import SearchQuery
from simila.index.search_result import SearchResult
from simila.services.search_queue import SearchQueue, _Waiting

PATIENCE_SECONDS = 60


class GatedCollection:
    """Answers a query with its vector's first value, once the gate is open; the number -1 cannot be searched for."""

    def __init__(self):
        self.gate = threading.Event()
        self.began = threading.Event()
        self.calls = []

    def search(self, query):
        numbers = query.vectors[:, 0].astype(int).tolist()
        self.calls.append((query.limit, numbers))
        self.began.set()
        assert self.gate.wait(PATIENCE_SECONDS)
        if -1 in numbers:
            raise CollectionUnavailable("damaged")
        return SearchResult([[number] for number in numbers], None, None, newest=7)


@pytest.fixture
def collection():
    collection = GatedCollection()
    yield collection
    collection.gate.set()


def query(number, limit=10):
    return SearchQuery(np.full((1, 4), number, np.float32), limit)


def run(collection, numbers, *, limits=None, workers=1, act=None):
    """Search for the first number; once it runs, for the others, in order; then `act`, and open the gate."""

    async def all_of_them():
        queue = SearchQueue(workers=workers, most_wait_seconds=60.0)
        queries = [query(n, limit) for n, limit in zip(numbers, limits or [10] * len(numbers), strict=True)]
        tasks = [asyncio.create_task(queue.search(collection, queries[0]))]
        await asyncio.sleep(0)
        assert await asyncio.to_thread(collection.began.wait, PATIENCE_SECONDS)
        tasks += [asyncio.create_task(queue.search(collection, each)) for each in queries[1:]]
        await asyncio.sleep(0)
        if act:
            act(tasks)
        collection.gate.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        queue.close()
        return [each if isinstance(each, BaseException) else each.hits[0][0] for each in results]

    return asyncio.run(all_of_them())


def test_those_that_waited_share_a_call(collection):
    assert run(collection, [1, 2, 3, 4]) == [1, 2, 3, 4]
    assert collection.calls == [(10, [1]), (10, [2, 3, 4])]


def test_what_is_searched_otherwise_is_another_call(collection):
    assert run(collection, [1, 2, 3, 4, 5], limits=[10, 10, 5, 10, 5]) == [1, 2, 3, 4, 5]
    assert collection.calls == [(10, [1]), (10, [2, 4]), (5, [3, 5])]


def test_behind_a_long_call_another_worker_begins(collection):
    async def overtake():
        queue = SearchQueue(workers=2, most_wait_seconds=60.0)
        first = asyncio.create_task(queue.search(collection, query(1)))
        await asyncio.sleep(0)
        assert await asyncio.to_thread(collection.began.wait, PATIENCE_SECONDS)
        collection.began.clear()
        others = [asyncio.create_task(queue.search(collection, query(n))) for n in (2, 3, 4)]
        await asyncio.sleep(0)
        assert await asyncio.to_thread(collection.began.wait, PATIENCE_SECONDS)
        running_beside = list(collection.calls)
        collection.gate.set()
        results = await asyncio.gather(first, *others)
        queue.close()
        return running_beside, [each.hits[0][0] for each in results]

    running_beside, found = asyncio.run(overtake())
    assert running_beside == [(10, [1]), (10, [2, 3])]  # a share is left for the other worker
    assert found == [1, 2, 3, 4]


def test_nobody_searches_for_somebody_who_has_left(collection):
    results = run(collection, [1, 2, 3], act=lambda tasks: tasks[1].cancel())
    assert (results[0], results[2]) == (1, 3)
    assert isinstance(results[1], asyncio.CancelledError)
    assert collection.calls == [(10, [1]), (10, [3])]


def test_an_error_belongs_to_those_who_shared_the_call(collection):
    results = run(collection, [1, 2, -1, 3], limits=[10, 10, 5, 10])
    assert (results[0], results[1], results[3]) == (1, 2, 3)
    assert isinstance(results[2], CollectionUnavailable)


def test_what_would_wait_too_long_is_refused(collection):
    collection.gate.set()

    async def crowd():
        queue = SearchQueue(workers=1, most_wait_seconds=0.5)
        await queue.search(collection, query(1))
        queue._admission.measured(1, 10.0)  # a search takes a second or so, on the running mean
        results = await asyncio.gather(*(queue.search(collection, query(n)) for n in range(10)), return_exceptions=True)
        queue.close()
        return results

    results = asyncio.run(crowd())
    refused = [each for each in results if isinstance(each, Overloaded)]
    assert 0 < len(refused) < 10
    assert [each.hits[0][0] for each in results if not isinstance(each, Overloaded)] == list(range(10 - len(refused)))


def test_closing_cancels_those_that_wait(collection):
    async def close():
        queue = SearchQueue(workers=1, most_wait_seconds=60.0)
        first = asyncio.create_task(queue.search(collection, query(1)))
        await asyncio.sleep(0)
        assert await asyncio.to_thread(collection.began.wait, PATIENCE_SECONDS)
        second = asyncio.create_task(queue.search(collection, query(2)))
        await asyncio.sleep(0)
        collection.gate.set()
        queue.close()
        with suppress(asyncio.CancelledError):
            await second
        return (await first).hits, second.cancelled()

    assert asyncio.run(close()) == ([[1]], True)


def test_a_worker_that_helped_out_leaves_when_calls_are_short_again(collection):
    async def take_in_turns():
        queue = SearchQueue(workers=2, most_wait_seconds=60.0)
        for number in range(6):
            queue._waiting.append(_Waiting(collection, query(number), asyncio.get_running_loop().create_future()))
        queue._running = 2
        groups = []
        _, taken_at = queue._next_group(0.0)
        queue._next_group(0.0)  # the other worker's
        for last_taken_at in (taken_at, 0.0):  # this call was short, and that one long
            group, _ = queue._next_group(last_taken_at)
            groups.append((len(group), queue._running))
        queue.close()
        return groups

    assert asyncio.run(take_in_turns()) == [(0, 1), (1, 1)]
