"""From prepared rows, some of them failed, to the vectors of a whole request."""

import logging
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from simila.domain.errors import ModelError, SimilaError
from simila.domain.inputs import Embedded, Timings
from simila.domain.vectors import Float32
from simila.engine.micro_batcher import MicroBatcher

logger = logging.getLogger("simila.engine")

Row = TypeVar("Row")


async def assemble(
    batcher: MicroBatcher[Row],
    rows: Sequence[Row | SimilaError],
    *,
    tokens: Sequence[int],
    truncated: Sequence[bool],
    preprocess_seconds: float,
) -> Embedded:
    """Run the rows that are good and put every vector and every error at its input's position."""
    failures = {position: row for position, row in enumerate(rows) if isinstance(row, SimilaError)}
    positions = [position for position in range(len(rows)) if position not in failures]
    if not positions:
        vectors = np.zeros((len(rows), batcher.dimension), dtype=np.float32)
        return Embedded(vectors, tuple(tokens), tuple(truncated), failures, Timings(preprocess_seconds))
    batched = await batcher.submit([row for row in rows if not isinstance(row, SimilaError)])
    vectors = batched.vectors
    if failures:
        vectors = np.zeros((len(rows), batcher.dimension), dtype=np.float32)
        vectors[positions] = batched.vectors
    failures |= {positions[index]: _as_simila_error(error) for index, error in batched.failures.items()}
    timings = Timings(preprocess_seconds, batched.queue_seconds, batched.inference_seconds)
    return Embedded(vectors, tuple(tokens), tuple(truncated), failures, timings)


def finite(vectors: Float32) -> Float32:
    """Return the vectors of one batch.

    Raises:
        ModelError: a value is not finite.

    """
    if not np.isfinite(vectors).all():
        raise ModelError("the encoder returned a vector with a value that is not finite")
    return vectors


def _as_simila_error(error: Exception) -> SimilaError:
    if isinstance(error, SimilaError):
        return error
    logger.error("a backend failed on an input that stood alone in its batch", exc_info=error)
    return ModelError("the encoder failed on this input; the server's log says why")
