"""What the server writes vectors in, and vectors again."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simila_client.errors import InvalidArgument
from simila_client.results import Float32

DTYPES = {"float": "<f4", "float16": "<f2", "int8": "i1", "binary": "i1", "ubinary": "u1"}


def checked(embedding_type: str | None) -> str:
    """The type, or `float` for None.

    Raises:
        InvalidArgument: there is no such type.

    """
    name = embedding_type or "float"
    if name not in DTYPES:
        raise InvalidArgument(f"embedding_type '{name}' is none of {', '.join(DTYPES)}")
    return name


def codes_of(rows: Sequence[bytes | None], embedding_type: str) -> NDArray[Any]:
    """The values as they were sent, `[n, d]` in the dtype of `DTYPES`, of bits `[n, d / 8]`; None is a row of zeros."""
    blank = bytes(len(next(row for row in rows if row is not None)))
    octets = b"".join(blank if row is None else row for row in rows)
    return np.frombuffer(octets, dtype=DTYPES[embedding_type]).reshape(len(rows), -1)


def unit_vectors(codes: NDArray[Any], embedding_type: str) -> Float32:
    """`float32 [n, d], unit length`; of bits, each value is 1 or -1 before it is scaled, and d a multiple of 8."""
    if embedding_type == "float":
        return codes.astype(np.float32)
    if embedding_type in ("binary", "ubinary"):
        bytes_ = (codes.astype(np.int16) + (128 if embedding_type == "binary" else 0)).astype(np.uint8)
        codes = 2 * np.unpackbits(bytes_, axis=1).astype(np.float32) - 1
    values = codes.astype(np.float32)
    with np.errstate(invalid="ignore"):  # a row of zeros, of an input that failed, becomes NaN
        return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True), dtype=np.float32)
