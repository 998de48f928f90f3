"""Batching without a timer: a batch is what waited while the last one ran.

An idle tower runs one row at once, so a lone request pays the model's own latency and nothing else. Rows of like length
go together, because a batch costs as much as if each of its rows were as long as the longest.
"""

import asyncio
import heapq
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from simila.domain.errors import ModelError, NotReady
from simila.domain.vectors import Float32

Row = TypeVar("Row")


@dataclass(frozen=True)
class BatchLimits:
    """A batch holds at most `items` rows, and at most `padded_length` when each counts as long as the longest."""

    items: int
    padded_length: int


@dataclass(frozen=True)
class BatchedRows:
    """The vectors of one request's rows; a failed row has zeros and its error in `failures`."""

    vectors: Float32  # [n, d]
    failures: Mapping[int, Exception]


class _Job:
    """The rows of one request on their way; its future is resolved in the event loop that made it."""

    def __init__(self, rows: int, dimension: int) -> None:
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[BatchedRows] = self._loop.create_future()
        self._vectors = np.zeros((rows, dimension), dtype=np.float32)
        self._failures: dict[int, Exception] = {}
        self._missing = rows

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody waits any longer."""
        return self.future.cancelled()

    def deliver(self, position: int, vector: Float32) -> None:
        self._vectors[position] = vector
        self._settle_one()

    def fail(self, position: int, error: Exception) -> None:
        self._failures[position] = error
        self._settle_one()

    def _settle_one(self) -> None:
        self._missing -= 1
        if not self._missing:
            with suppress(RuntimeError):  # the loop is closed, and nobody is left who waits
                self._loop.call_soon_threadsafe(self._resolve)

    def _resolve(self) -> None:
        if not self.future.done():
            self.future.set_result(BatchedRows(self._vectors, self._failures))


@dataclass(slots=True)
class _Waiting(Generic[Row]):
    row: Row
    length: int
    job: _Job
    position: int


class MicroBatcher(Generic[Row]):
    """One thread that runs one tower, and the rows that wait for it.

    `run` turns rows into `float32 [n, dimension]` in the batcher's own thread; `length` is what a row counts towards
    `BatchLimits.padded_length`. A batch that raises is halved until the failing rows stand alone, so that their
    neighbours get their vectors.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[Sequence[Row]], Float32],
        *,
        length: Callable[[Row], int],
        dimension: int,
        limits: BatchLimits,
    ) -> None:
        self._run_rows = run
        self.dimension = dimension
        self._length = length
        self._limits = limits
        self._waiting: list[_Waiting[Row]] = []
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=f"batcher-{name}", daemon=True)
        self._thread.start()

    async def submit(self, rows: Sequence[Row]) -> BatchedRows:
        """Wait for the vectors of at least one row, in the order given.

        Raises:
            NotReady: the batcher is closed.

        """
        job = _Job(len(rows), self.dimension)
        entries = [_Waiting(row, self._length(row), job, position) for position, row in enumerate(rows)]
        with self._changed:
            if self._closed:
                raise NotReady("the encoder is shutting down")
            self._waiting.extend(entries)
            self._changed.notify()
        return await job.future

    def close(self) -> None:
        """Finish the batch that runs, fail what waits, end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        for entry in self._waiting:
            entry.job.fail(entry.position, NotReady("the encoder is shutting down"))

    def _work(self) -> None:
        while batch := self._next_batch():
            self._run(batch)

    def _next_batch(self) -> list[_Waiting[Row]]:
        """The oldest waiting row and those nearest to it in length; empty when closed."""
        with self._changed:
            while True:
                self._waiting = [entry for entry in self._waiting if not entry.job.is_abandoned]
                if self._closed:
                    return []
                if self._waiting:
                    break
                self._changed.wait()
            batch = self._choose()
            chosen = set(map(id, batch))
            self._waiting = [entry for entry in self._waiting if id(entry) not in chosen]
            return batch

    def _choose(self) -> list[_Waiting[Row]]:
        oldest = self._waiting[0]
        nearest = heapq.nsmallest(
            self._limits.items,
            self._waiting,
            key=lambda entry: (entry is not oldest, abs(entry.length - oldest.length)),
        )
        batch: list[_Waiting[Row]] = []
        longest = 0
        for entry in nearest:
            longest = max(longest, entry.length)
            if batch and longest * (len(batch) + 1) > self._limits.padded_length:
                break
            batch.append(entry)
        return batch

    def _run(self, batch: Sequence[_Waiting[Row]]) -> None:
        try:
            vectors = self._checked(self._run_rows([entry.row for entry in batch]), len(batch))
        except Exception as error:  # noqa: BLE001  the loop outlives whatever a backend raises
            if len(batch) == 1:
                batch[0].job.fail(batch[0].position, error)
                return
            middle = len(batch) // 2
            self._run(batch[:middle])
            self._run(batch[middle:])
            return
        for entry, vector in zip(batch, vectors, strict=True):
            entry.job.deliver(entry.position, vector)

    def _checked(self, vectors: Float32, rows: int) -> Float32:
        if vectors.shape != (rows, self.dimension):
            message = f"the encoder returned an array of shape {vectors.shape}, not {(rows, self.dimension)}"
            raise ModelError(message)
        return vectors
