"""Searches of many requests as few calls of the index, without a timer: those that waited while the last ones ran."""

import asyncio
import threading
from collections import deque
from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from simila.engine.admission import Admission
from simila.index.collection import Collection, SearchQuery
from simila.index.search_result import SearchResult

MOST_SEARCHES_AT_ONCE = 64
PATIENCE_SECONDS = 0.02


@dataclass(eq=False, slots=True)
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

    Searches that came in one turn of the event loop, or while others ran, wait together. The oldest is taken with those
    that ask for the same but by another vector: a batch goes through the index, and out of the store, with less work
    than one by one. A worker takes the next ones itself, and the event loop hears once of a whole batch: each hand-over
    between threads costs as much as a search. Short calls are mostly Python, of which a second thread only gets in the
    way; behind a long one nobody should have to wait. What would wait for more than `most_wait_seconds` is refused. For
    one event loop.
    """

    def __init__(self, *, workers: int, most_wait_seconds: float) -> None:
        self._workers = workers
        self._lock = threading.Lock()  # of the next three
        self._waiting: deque[_Waiting] = deque()
        self._running = 0
        self._taken_at = 0.0
        self._patience: asyncio.TimerHandle | None = None
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="search")
        self._admission = Admission(most_wait_seconds=most_wait_seconds, fair_share=1, workers=workers)

    async def search(self, collection: Collection, query: SearchQuery) -> SearchResult:
        """Search by one vector, `query.vectors` being `float32 [1, d], unit length`.

        Raises:
            Overloaded: too many searches wait.
            InvalidVector, …: see `Collection.search`.

        """
        with self._admission.admit(1):
            loop = asyncio.get_running_loop()
            waiting = _Waiting(collection, query, loop.create_future())
            with self._lock:
                self._waiting.append(waiting)
                is_first = not self._running
                self._running += is_first
            if is_first:
                loop.call_soon(self._start_worker)
            elif self._patience is None:
                self._patience = loop.call_later(PATIENCE_SECONDS, self._lose_patience)
            return await waiting.future

    def close(self) -> None:
        """Finish the searches that run; whoever waits for another is cancelled."""
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
        for each in waiting:
            each.future.cancel()
        self._threads.shutdown()

    def _start_worker(self) -> None:
        with suppress(RuntimeError):  # closed meanwhile, and nobody waits
            self._threads.submit(self._work)

    def _lose_patience(self) -> None:
        """Start another worker if nothing has been taken for long, and look again as long as somebody waits."""
        self._patience = None
        with self._lock:
            if not self._waiting:
                return
            is_due = perf_counter() - self._taken_at >= PATIENCE_SECONDS and self._running < self._workers
            self._running += is_due
        if is_due:
            self._start_worker()
        self._patience = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._lose_patience)

    def _work(self) -> None:
        taken_at = 0.0
        while True:
            group, taken_at = self._next_group(taken_at)
            if not group:
                return
            outcome = _outcome(group)
            self._admission.measured(len(group), perf_counter() - taken_at)
            group[0].future.get_loop().call_soon_threadsafe(_deliver, group, outcome)

    def _next_group(self, taken_at: float) -> tuple[list[_Waiting], float]:
        """A share of what waits, all of one call, for a worker that took its last one at `taken_at`; and the time.

        It is empty, and the worker ends, when nobody waits, or when calls are short and another takes them.
        """
        with self._lock:
            now = perf_counter()
            while self._waiting and self._waiting[0].future.done():  # nobody waits for it any more
                self._waiting.popleft()
            is_spare = self._running > 1 and taken_at < self._taken_at and now - taken_at < PATIENCE_SECONDS
            if is_spare or not self._waiting:
                self._running -= 1
                return [], now
            self._taken_at = now
            return self._share(), now

    def _share(self) -> list[_Waiting]:
        most = min(MOST_SEARCHES_AT_ONCE, -(-len(self._waiting) // self._running))
        call = self._waiting[0].call()
        group: list[_Waiting] = []
        others: list[_Waiting] = []
        while self._waiting and len(group) < most:
            waiting = self._waiting.popleft()
            (group if waiting.call() == call else others).append(waiting)
        self._waiting.extendleft(reversed(others))
        return group


def _outcome(group: Sequence[_Waiting]) -> Sequence[SearchResult] | Exception:
    first = group[0]
    try:
        vectors = np.concatenate([waiting.query.vectors for waiting in group])
        result = first.collection.search(replace(first.query, vectors=vectors))
    except Exception as error:  # noqa: BLE001  it belongs to those who wait
        return error
    return [SearchResult([hits], result.account, result.filter_account, result.newest) for hits in result.hits]


def _deliver(group: Sequence[_Waiting], outcome: Sequence[SearchResult] | Exception) -> None:
    for place, waiting in enumerate(group):
        if waiting.future.done():  # nobody waits for it any more
            continue
        if isinstance(outcome, Exception):
            waiting.future.set_exception(outcome)
        else:
            waiting.future.set_result(outcome[place])
