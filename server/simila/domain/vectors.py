"""Arrays of vectors: dtype, shape and length are checked here and nowhere else."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simila.domain.errors import InvalidVector

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

SMALLEST_NORM = 1e-12
# A vector nearer to unit length than this is one: to scale it again would change its last bits.
UNIT_TOLERANCE = 1e-6
_SAFE_SQUARES = (1e-20, 1e20)  # squared lengths that float32 computes without overflow or loss


def unit_rows(rows: Float32) -> Float32:
    """Scale each row of `float32 [n, d]` to unit length; a row shorter than `SMALLEST_NORM` stays as it is."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(norms < SMALLEST_NORM, 1.0, norms)).astype(np.float32, copy=False)


def given_vector(values: Sequence[float] | Float32, dimension: int) -> Float32:
    """A caller's vector as `float32 [d], unit length`; an array of float32 that is so already is returned as it is.

    Raises:
        InvalidVector: it has another dimension, a value that is no finite float32, or no length.

    """
    if len(values) != dimension:
        raise InvalidVector(f"the vector has {len(values)} dimensions; the encoder's vectors have {dimension}")
    if isinstance(values, np.ndarray) and values.dtype == np.float32:
        with np.errstate(over="ignore", invalid="ignore"):
            square = float(values @ values)
        if _SAFE_SQUARES[0] < square < _SAFE_SQUARES[1]:
            norm = math.sqrt(square)
            return values if abs(norm - 1) <= UNIT_TOLERANCE else values / np.float32(norm)
    with np.errstate(over="ignore"):
        vector = np.asarray(values, dtype=np.float64)
        not_finite = np.flatnonzero(~np.isfinite(vector.astype(np.float32)))
    if not_finite.size:
        position = int(not_finite[0])
        raise InvalidVector(f"the value at position {position} is not a finite float32")
    largest = float(np.abs(vector).max())
    if not largest:
        raise InvalidVector("a vector of length zero has no direction")
    scaled = vector / largest  # so that no square overflows or vanishes
    return (scaled / np.linalg.norm(scaled)).astype(np.float32)


def given_vectors(rows: NDArray[np.floating[Any]], dimension: int, name: str) -> Float32:
    """A caller's vectors, `float16, float32 or float64 [n, d]`, as `float32 [n, d], unit length`.

    Those that are of unit length already keep every bit; if all are, the array that is returned is the one given.

    Raises:
        InvalidVector: as `given_vector` does; it names the first row at fault as `name[row].vector`.

    """
    if rows.ndim != 2 or rows.shape[1] != dimension:
        raise InvalidVector(
            f"{name}: the vectors have {rows.shape[-1]} dimensions; the encoder's have {dimension}", param=name
        )
    with np.errstate(over="ignore", invalid="ignore"):
        values = rows.astype(np.float32, copy=False)
        squares = np.einsum("nd,nd->n", values, values)
        norms = np.sqrt(squares)
        # Not "outside": a comparison with NaN is false.
        unsafe = ~((squares > _SAFE_SQUARES[0]) & (squares < _SAFE_SQUARES[1]))
        norms[np.abs(norms - 1) <= UNIT_TOLERANCE] = 1
    if (norms == 1).all():
        return values
    norms[unsafe] = 1
    vectors: Float32 = values / norms[:, np.newaxis]
    for row in np.flatnonzero(unsafe).tolist():
        try:
            vectors[row] = given_vector(rows[row].tolist(), dimension)
        except InvalidVector as error:
            part = f"{name}[{row}].vector"
            raise InvalidVector(f"{part}: {error.message}", param=part) from error
    return vectors


def leading_dimensions(vectors: Float32, dimensions: int) -> Float32:
    """The first `dimensions` columns of `float32 [n, d]`, unit length again.

    Matryoshka representation learning (Kusupati et al. 2022) trains encoders for this; others lose accuracy by it.
    """
    return unit_rows(vectors[:, :dimensions])
