"""Batching without a timer: a batch is what waited while the last one ran.

An idle tower runs one row at once, so a lone request pays the model's own latency and nothing else.
"""

import asyncio
import math
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Generic, TypeVar

from simila.backends import nobody_waits
from simila.domain.errors import PASSING_ERRORS, ModelError, NotReady
from simila.domain.vectors import Float32
from simila.engine.pending_request import BatchedRows, PendingRequest
from simila.engine.waiting_rows import BatchLimits, WaitingRow, WaitingRows
from simila.telemetry.traces import carrying

Row = TypeVar("Row")


@dataclass(frozen=True)
class BatchReport:
    """A batch that ran: its rows, their length together, with padding and without, and how long it took."""

    rows: int
    padded_length: int
    length: int
    seconds: float


class MicroBatcher(Generic[Row]):
    """The threads that run one tower, and the rows that wait for them.

    `run` turns rows into `float32 [n, dimension]`; it is called from `workers` threads side by side. `length` is what a
    row counts towards `BatchLimits.padded_length`. A batch that raises is halved until the failing rows stand alone, so
    that their neighbours get their vectors. `observe` is told of each batch that ran, and `last_batch_at` is when the
    last one was done, on the clock of `time.perf_counter`.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[Sequence[Row]], Float32],
        *,
        length: Callable[[Row], int],
        dimension: int,
        limits: BatchLimits,
        workers: int = 1,
        observe: Callable[[BatchReport], None] | None = None,
    ) -> None:
        self._run_rows = run
        self._length = length
        self.dimension = dimension
        self._limits = limits
        self._observe = observe
        self._waiting: WaitingRows[Row] = WaitingRows()
        self._changed = threading.Condition()
        self._closed = False
        self.last_batch_at = -math.inf
        self._threads = [
            threading.Thread(target=self._work, name=f"batcher-{name}-{number}", daemon=True)
            for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    async def submit(self, rows: Sequence[Row]) -> BatchedRows:
        """Wait for the vectors of at least one row, in the order given. To cancel this drops the rows that wait.

        Raises:
            NotReady: the batcher is closed.

        """
        request = PendingRequest(len(rows), self.dimension)
        waiting = [WaitingRow(row, self._length(row), request, position) for position, row in enumerate(rows)]
        with self._changed:
            if self._closed:
                raise NotReady("the encoder is shutting down")
            self._waiting.add(request, waiting)
            self._changed.notify(min(len(rows), len(self._threads)))
        return await request.future

    def waiting_rows(self) -> int:
        """How many rows wait for a batch."""
        return len(self._waiting)

    def close(self) -> None:
        """Finish the batches that run, fail what waits, end the threads."""
        with self._changed:
            self._closed = True
            waiting = self._waiting.take_all()
            self._changed.notify_all()
        for row in waiting:
            self._fail(row, NotReady("the encoder is shutting down"))
        self._settle(waiting)
        for thread in self._threads:
            thread.join()
        self._run_rows = _closed  # the other refers to the tower, which refers to this: no garbage collection is needed

    def _work(self) -> None:
        while batch := self._next_batch():
            self._run(batch)
            self._settle(batch)
            del batch  # else its rows live on while the worker waits

    def _next_batch(self) -> list[WaitingRow[Row]]:
        """Wait for rows and take this worker's share of them; empty when the batcher is closed.

        The share is that of all workers, busy ones too: what is left keeps the next one from waiting for answers to
        reach clients and come back as requests.
        """
        with self._changed:
            while not self._closed:
                share = -(-len(self._waiting) // len(self._threads))
                limits = replace(self._limits, items=min(self._limits.items, max(share, 1)))
                if batch := self._waiting.take(limits):
                    return batch
                self._changed.wait()
            return []

    def _run(self, batch: Sequence[WaitingRow[Row]]) -> None:
        began_at = perf_counter()
        for row in batch:
            request = row.request
            request.began_at = request.began_at or began_at
        watch = nobody_waits.set(lambda: all(row.request.is_abandoned for row in batch))
        try:
            # Another server continues one trace: that of the request whose turn it was.
            with carrying(batch[0].request.trace_headers):
                vectors = self._checked(self._run_rows([row.row for row in batch]), rows=len(batch))
        except PASSING_ERRORS as error:  # of no row's making
            for row in batch:
                self._fail(row, error)
            return
        except Exception as error:  # noqa: BLE001  the loop outlives whatever a backend raises
            if len(batch) == 1:
                self._fail(batch[0], error)
                return
            middle = len(batch) // 2
            self._run(batch[:middle])
            self._run(batch[middle:])
            return
        finally:
            nobody_waits.reset(watch)
        for row, vector in zip(batch, vectors, strict=True):
            row.request.vectors[row.position] = vector
        self.last_batch_at = perf_counter()
        if self._observe:
            lengths = [row.length for row in batch]
            padded_length = len(batch) * max(lengths)
            self._observe(BatchReport(len(batch), padded_length, sum(lengths), perf_counter() - began_at))

    def _fail(self, row: WaitingRow[Row], error: Exception) -> None:
        row.request.failures[row.position] = error

    def _settle(self, rows: Sequence[WaitingRow[Row]]) -> None:
        """Count rows as done, and wake each event loop once for the requests that are complete."""
        complete: dict[asyncio.AbstractEventLoop, list[PendingRequest]] = {}
        with self._changed:
            for row in rows:
                request = row.request
                request.missing -= 1
                if not request.missing:
                    complete.setdefault(request.loop, []).append(request)
        for loop, requests in complete.items():
            with suppress(RuntimeError):  # the loop is closed, and nobody is left who waits
                loop.call_soon_threadsafe(_resolve, requests)

    def _checked(self, vectors: Float32, *, rows: int) -> Float32:
        expected = (rows, self.dimension)
        if vectors.shape != expected:
            raise ModelError(f"the encoder returned an array of shape {vectors.shape}, not {expected}")
        return vectors


def _closed(_rows: Sequence[object]) -> Float32:
    raise NotReady("the encoder is shutting down")


def _resolve(requests: Sequence[PendingRequest]) -> None:
    for request in requests:
        request.resolve()
