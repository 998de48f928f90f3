"""Searches of many requests as few calls of the index, without a timer: those that waited while the last ones ran."""

import asyncio
from collections import deque
from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from simila.engine.admission import Admission
from simila.index.collection import Collection, SearchQuery, SearchResult

MOST_SEARCHES_AT_ONCE = 64
PATIENCE_SECONDS = 0.005


@dataclass(eq=False)
class _Waiting:
    collection: Collection
    query: SearchQuery
    future: asyncio.Future[SearchResult]

    def call(self) -> Hashable:
        """What searches must share to be one call."""
        query = self.query
        return id(self.collection), query.limit, query.where, tuple(query.excluded_ids), query.exact


class SearchQueue:
    """Runs searches in a thread, and in up to `workers` threads while calls last longer than `PATIENCE_SECONDS`.

    One search alone is run at once. Of those that wait, the oldest is taken with those that ask for the same but by
    another vector: a batch goes through the index, and out of the store, with less work than one by one. Short calls
    are mostly Python, of which a second thread only gets in the way; behind a long one nobody should have to wait. What
    would wait for more than `most_wait_seconds` is refused. For one event loop.
    """

    def __init__(self, *, workers: int, most_wait_seconds: float) -> None:
        self._workers = workers
        self._waiting: deque[_Waiting] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._patience: asyncio.TimerHandle | None = None
        self._taken_at = 0.0
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="search")
        self._admission = Admission(most_wait_seconds=most_wait_seconds, fair_share=1, workers=workers)

    async def search(self, collection: Collection, query: SearchQuery) -> SearchResult:
        """Search by one vector, `query.vectors` being `float32 [1, d], unit length`.

        Raises:
            Overloaded: too many searches wait.
            InvalidVector, …: see `Collection.search`.

        """
        with self._admission.admit(1):
            waiting = _Waiting(collection, query, asyncio.get_running_loop().create_future())
            self._waiting.append(waiting)
            if all(worker.done() for worker in self._running):
                self._start_worker()
            elif self._patience is None:
                self._patience = waiting.future.get_loop().call_later(PATIENCE_SECONDS, self._lose_patience)
            return await waiting.future

    def close(self) -> None:
        """Finish the searches that run; whoever waits for another is cancelled."""
        for waiting in self._waiting:
            waiting.future.cancel()
        self._threads.shutdown()

    def _start_worker(self) -> None:
        worker = asyncio.create_task(self._work())
        self._running.add(worker)
        worker.add_done_callback(self._running.discard)

    def _lose_patience(self) -> None:
        """Start another worker if nothing has been taken since the oldest search began to wait."""
        self._patience = None
        if not self._waiting:
            return
        if perf_counter() - self._taken_at < PATIENCE_SECONDS:
            self._patience = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._lose_patience)
        elif len(self._running) < self._workers:
            self._start_worker()

    async def _work(self) -> None:
        while group := self._next_group():
            try:
                began_at = perf_counter()
                results = await asyncio.get_running_loop().run_in_executor(self._threads, _searched, group)
                self._admission.measured(len(group), perf_counter() - began_at)
                for waiting, result in zip(group, results, strict=True):
                    if not waiting.future.done():
                        waiting.future.set_result(result)
            except Exception as error:  # noqa: BLE001  it belongs to those who wait
                for waiting in group:
                    if not waiting.future.done():
                        waiting.future.set_exception(error)
            finally:
                for waiting in group:
                    waiting.future.cancel()  # unless it is done

    def _next_group(self) -> list[_Waiting]:
        """One worker's share of what waits, all of one call; empty when nobody waits."""
        while self._waiting and self._waiting[0].future.done():  # nobody waits for it any more
            self._waiting.popleft()
        if not self._waiting:
            return []
        self._taken_at = perf_counter()
        most = min(MOST_SEARCHES_AT_ONCE, -(-len(self._waiting) // len(self._running)))
        call = self._waiting[0].call()
        group: list[_Waiting] = []
        others: list[_Waiting] = []
        while self._waiting and len(group) < most:
            waiting = self._waiting.popleft()
            if waiting.call() == call:
                group.append(waiting)
            else:
                others.append(waiting)
        self._waiting.extendleft(reversed(others))
        return group


def _searched(group: Sequence[_Waiting]) -> list[SearchResult]:
    first = group[0]
    vectors = np.concatenate([waiting.query.vectors for waiting in group])
    result = first.collection.search(replace(first.query, vectors=vectors))
    return [replace(result, hits=[hits]) for hits in result.hits]
