"""A request on its way through a tower."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from simila.domain.vectors import Float32
from simila.telemetry.traces import outgoing_headers


@dataclass(frozen=True)
class BatchedRows:
    """The vectors of one request's rows; a failed row has zeros and its error in `failures`."""

    vectors: Float32  # [n, d]
    failures: Mapping[int, Exception]
    queue_seconds: float
    inference_seconds: float


class PendingRequest:
    """The rows of one request on their way; its future belongs to the event loop that made it."""

    def __init__(self, rows: int, dimension: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[BatchedRows] = self.loop.create_future()
        self.vectors = np.zeros((rows, dimension), dtype=np.float32)
        self.failures: dict[int, Exception] = {}
        self.missing = rows
        self.submitted_at = perf_counter()
        self.began_at = 0.0
        self.trace_headers = outgoing_headers()

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody waits any longer."""
        return self.future.cancelled()

    def resolve(self) -> None:
        if not self.future.done():
            queue_seconds = self.began_at - self.submitted_at
            inference_seconds = perf_counter() - self.began_at
            self.future.set_result(BatchedRows(self.vectors, self.failures, queue_seconds, inference_seconds))
