"""Vectors in fewer bits, for those who send or store many: what each type holds, and what one loses by it.

A vector of unit length keeps its direction in all of them; whoever decodes one scales it to unit length again.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simila.domain.vectors import SMALLEST_NORM, Float32

EmbeddingType = Literal["float", "float16", "int8", "binary", "ubinary"]
LARGEST_INT8 = 127
SIGN_BIT = 128


def in_type(vectors: Float32, embedding_type: EmbeddingType) -> NDArray[Any]:
    """Write `float32 [n, d], unit length` as little-endian rows of a type.

    float: float32 [n, d], as it is.
    float16: float16 [n, d], rounded.
    int8: int8 [n, d], each row scaled so that its largest value is 127 or -127, rounded; -128 does not occur.
    ubinary: uint8 [n, ceil(d / 8)], a bit for each value, set where it is above 0, the first in the highest bit; the
        last byte is filled with zeros.
    binary: int8, the same bytes less 128.
    """
    if embedding_type == "float":
        return np.ascontiguousarray(vectors, dtype="<f4")
    if embedding_type == "float16":
        return vectors.astype("<f2")
    if embedding_type == "int8":
        largest = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), SMALLEST_NORM)
        return np.asarray(np.rint(vectors * (LARGEST_INT8 / largest)), dtype=np.int8)
    bits = np.packbits(vectors > 0, axis=1)
    return bits if embedding_type == "ubinary" else (bits.astype(np.int16) - SIGN_BIT).astype(np.int8)
