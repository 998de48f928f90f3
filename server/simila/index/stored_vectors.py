"""What the index needs of the store."""

from collections.abc import Iterator
from typing import Protocol

from simila.domain.vectors import Float32, Int64


class VectorChunk(Protocol):
    """Some rows of the store, oldest first."""

    @property
    def sequences(self) -> Int64:
        """`int64 [n]`, ascending."""
        ...

    @property
    def vectors(self) -> Float32:
        """`float32 [n, d], unit length`."""
        ...


class StoredVectors(Protocol):
    """The vectors as they lie in the store, by sequence. Rows may come and go between two calls."""

    def vectors(self, sequences: Int64) -> tuple[Int64, Float32]:
        """Those of `int64 [n]` that are there, in the order given, as `int64 [m]` and `float32 [m, d], unit length`.

        One that is named twice is there twice.
        """
        ...

    def scan(self, after_sequence: int, chunk_rows: int) -> Iterator[VectorChunk]:
        """All rows past `after_sequence`, ascending, at most `chunk_rows` at a time."""
        ...
