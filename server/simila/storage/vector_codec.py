"""How vectors lie in BLOBs, and how a flipped bit in one is found."""

import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from simila.domain.vectors import Float32, unit_rows

_STORED: dict[str, np.dtype[np.float32] | np.dtype[np.float16]] = {
    "float32": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
}
# Python's crc32 gives the GIL away above 5 KiB, and beside a busy thread it takes milliseconds to get it back.
_PIECE_BYTES = 4096


@dataclass(frozen=True)
class VectorCodec:
    """Vectors of one dimension and stored type, to bytes and back."""

    dimension: int
    dtype: Literal["float32", "float16"]

    @property
    def row_bytes(self) -> int:
        return self.dimension * _STORED[self.dtype].itemsize

    def encoded(self, vectors: Float32) -> bytes:
        """The BLOBs of `float32 [n, d]`, one after the other."""
        return np.ascontiguousarray(vectors, dtype=_STORED[self.dtype]).tobytes()

    def decoded(self, content: bytes) -> Float32:
        """What BLOBs hold, one after the other: `float32 [n, d]`, read-only; of float16, unit length again."""
        rows = np.frombuffer(content, dtype=_STORED[self.dtype]).reshape(-1, self.dimension)
        vectors = rows.astype(np.float32, copy=False)
        return vectors if self.dtype == "float32" else unit_rows(vectors)

    def checksums(self, content: bytes) -> list[int]:
        """The CRC-32 of each BLOB."""
        view, row_bytes = memoryview(content), self.row_bytes
        crc32 = zlib.crc32 if row_bytes <= _PIECE_BYTES else _crc32_by_pieces
        return [crc32(view[start : start + row_bytes]) for start in range(0, len(content), row_bytes)]


def _crc32_by_pieces(row: memoryview) -> int:
    checksum = 0
    for start in range(0, len(row), _PIECE_BYTES):
        checksum = zlib.crc32(row[start : start + _PIECE_BYTES], checksum)
    return checksum
