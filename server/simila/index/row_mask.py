"""Which rows of an index may be found."""

from dataclasses import dataclass
from typing import Self

import faiss
import numpy as np
from numpy.typing import NDArray

from simila.domain.vectors import Int64


@dataclass(frozen=True)
class RowMask:
    """One bit a row, packed as FAISS reads it; never changed once made."""

    bits: NDArray[np.uint8]  # [rows / 8, rounded up], the lowest bit first
    rows: int
    count: int  # of the rows that may be found

    @classmethod
    def all_of(cls, rows: int) -> Self:
        return cls(np.full((rows + 7) // 8, 0xFF, np.uint8), rows, rows)

    @classmethod
    def only(cls, positions: Int64, rows: int) -> Self:
        """Just the rows at `int64 [n]`, each named once."""
        flags = np.zeros(rows, np.bool_)
        flags[positions] = True
        return cls(np.packbits(flags, bitorder="little"), rows, len(positions))

    def holds(self, positions: Int64) -> NDArray[np.bool_]:
        """Whether each of `int64 [...]` may be found; -1 is no row, and may not."""
        bits = self.bits[positions >> 3] >> (positions & 7).astype(np.uint8)
        held: NDArray[np.bool_] = (bits & 1 == 1) & (positions >= 0)
        return held

    def having(self, positions: Int64) -> Int64:
        """Those of `int64 [n]` that may be found."""
        found: Int64 = positions if self.count == self.rows else positions[self.holds(positions)]
        return found

    def without(self, positions: Int64) -> "RowMask":
        """The mask less the rows at `int64 [n]`, each named once."""
        leaving = self.having(positions)
        if not len(leaving):
            return self
        bits = self.bits.copy()
        np.bitwise_and.at(bits, leaving >> 3, ~(np.uint8(1) << (leaving & 7).astype(np.uint8)))
        return RowMask(bits, self.rows, self.count - len(leaving))

    def longer(self, rows: int) -> "RowMask":
        """The mask with `rows` more, all of which may be found."""
        positions = np.arange(self.rows, min(self.rows + rows, len(self.bits) * 8), dtype=np.int64)
        bits = np.concatenate([self.bits, RowMask.all_of(self.rows + rows).bits[len(self.bits) :]])
        np.bitwise_or.at(bits, positions >> 3, np.uint8(1) << (positions & 7).astype(np.uint8))
        return RowMask(bits, self.rows + rows, self.count + rows)

    def positions(self) -> Int64:
        """The rows that may be found, ascending."""
        return np.flatnonzero(np.unpackbits(self.bits, count=self.rows, bitorder="little")).astype(np.int64)

    def part(self, start: int, rows: int) -> "RowMask":
        """The mask of `rows` rows from `start`, a multiple of 8."""
        bits = self.bits[start // 8 : (start + rows + 7) // 8]
        count = int(np.unpackbits(bits, count=rows, bitorder="little").sum())
        return RowMask(bits, rows, count)

    def selector(self) -> faiss.IDSelector | None:
        """What FAISS takes; None when every row may be found, which is faster."""
        if self.count == self.rows:
            return None
        return faiss.IDSelectorBitmap(self.bits)  # type: ignore[arg-type,call-arg] # FAISS's Python layer takes an array
