"""What every tower does with prepared rows: admit, batch, run, count, and put the results in their places."""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from time import perf_counter
from typing import Generic, TypeVar

import numpy as np

from simila.domain.errors import ModelError, SimilaError
from simila.domain.inputs import Embedded, Timings
from simila.domain.manifest import Manifest, Modality
from simila.domain.vectors import Float32
from simila.engine.admission import Admission
from simila.engine.micro_batcher import BatchReport, MicroBatcher
from simila.engine.waiting_rows import BatchLimits
from simila.telemetry.metrics import TowerMetrics
from simila.telemetry.traces import record_phases

logger = logging.getLogger("simila.engine")

Row = TypeVar("Row")


class TowerQueue(Generic[Row]):
    """The rows of one tower on their way through `run`, see `MicroBatcher`, under an `Admission` and with metrics."""

    def __init__(
        self,
        manifest: Manifest,
        modality: Modality,
        run: Callable[[Sequence[Row]], Float32],
        *,
        length: Callable[[Row], int],
        limits: BatchLimits,
        max_queue_seconds: float,
        workers: int,
    ) -> None:
        self._encoder, self._tower = manifest.name, modality
        self._dimension = manifest.dimension
        self._metrics = TowerMetrics(manifest.name, modality)
        self._admission = Admission(
            most_wait_seconds=max_queue_seconds, fair_share=limits.padded_length, workers=workers
        )
        self._batcher = MicroBatcher(
            f"{manifest.name}.{modality}",
            lambda rows: _finite(run(rows)),
            length=length,
            dimension=manifest.dimension,
            limits=limits,
            workers=workers,
            observe=self._observe,
        )
        self._metrics.watch(work_in_flight=self._units_in_flight, queue_rows=self._batcher.waiting_rows)

    def admit(self, units: int) -> AbstractContextManager[None]:
        """Hold `units` of work, see `Admission.admit`, from before the rows are prepared until they are done."""
        return self._admission.admit(units)

    async def run(
        self,
        rows: Sequence[Row | SimilaError],
        *,
        tokens: Sequence[int],
        truncated: Sequence[bool],
        preprocess_seconds: float,
    ) -> Embedded:
        """Run the rows that are good, and put every vector and every error at its input's position."""
        failures = {position: row for position, row in enumerate(rows) if isinstance(row, SimilaError)}
        positions = [position for position in range(len(rows)) if position not in failures]
        vectors = np.zeros((len(rows), self._dimension), dtype=np.float32)
        timings = Timings(preprocess_seconds)
        if positions:
            batched = await self._batcher.submit([row for row in rows if not isinstance(row, SimilaError)])
            if failures:
                vectors[positions] = batched.vectors
            else:
                vectors = batched.vectors
            failures |= {positions[index]: _as_simila_error(error) for index, error in batched.failures.items()}
            timings = Timings(preprocess_seconds, batched.queue_seconds, batched.inference_seconds)
        self._metrics.request(**vars(timings))
        record_phases(self._encoder, self._tower, _by_phase(timings))
        return Embedded(vectors, tuple(tokens), tuple(truncated), failures, timings)

    def seconds_since_batch(self) -> float:
        """How long ago the last batch was done; infinity before the first."""
        return perf_counter() - self._batcher.last_batch_at

    def close(self) -> None:
        self._batcher.close()
        self._metrics.unwatch(work_in_flight=self._units_in_flight, queue_rows=self._batcher.waiting_rows)

    def _units_in_flight(self) -> float:
        return self._admission.units_in_flight

    def _observe(self, report: BatchReport) -> None:
        self._admission.measured(report.padded_length, report.seconds)
        self._metrics.batch(**vars(report))


def _by_phase(timings: Timings) -> dict[str, float]:
    return {name.removesuffix("_seconds"): seconds for name, seconds in vars(timings).items()}


def _finite(vectors: Float32) -> Float32:
    if not np.isfinite(vectors).all():
        raise ModelError("the encoder returned a vector with a value that is not finite")
    return vectors


def _as_simila_error(error: Exception) -> SimilaError:
    if isinstance(error, SimilaError):
        return error
    logger.error("a backend failed on an input that stood alone in its batch", exc_info=error)
    return ModelError("the encoder failed on this input; the server's log says why")
