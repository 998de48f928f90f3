"""The newest vectors, searched exactly."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from simila.domain.vectors import Float32, Int64
from simila.index.exact_search import nearest
from simila.index.neighbours import Neighbours
from simila.index.positions import positions_of
from simila.index.row_mask import RowMask

CHUNK_ROWS = 16_384  # a multiple of 8, so that a mask can be cut at the chunks
_FIRST_ROWS = 64


@dataclass
class _Chunk:
    """Arrays that snapshots share: rows below a snapshot's count never change, rows past `filled` are free."""

    sequences: Int64  # [capacity]
    vectors: Float32  # [capacity, d]
    filled: int

    @classmethod
    def with_room(cls, rows: int, dimension: int) -> Self:
        capacity = min(CHUNK_ROWS, max(_FIRST_ROWS, 1 << (rows - 1).bit_length()))
        return cls(np.empty(capacity, np.int64), np.empty((capacity, dimension), np.float32), 0)

    def extended(self, rows: int, more: int) -> "_Chunk":
        """The first `rows` of this chunk with room for `more`, in the same arrays unless others have claimed it."""
        if self.filled == rows and rows + more <= len(self.sequences):
            return self
        chunk = _Chunk.with_room(rows + more, self.vectors.shape[1])
        chunk.append(self.sequences[:rows], self.vectors[:rows])
        return chunk

    def append(self, sequences: Int64, vectors: Float32) -> None:
        end = self.filled + len(sequences)
        self.sequences[self.filled : end] = sequences
        self.vectors[self.filled : end] = vectors
        self.filled = end


@dataclass(frozen=True)
class Head:
    """A snapshot of the newest vectors, by ascending sequence. Many threads may search it; one at a time appends."""

    dimension: int
    rows: int = 0
    _chunks: tuple[_Chunk, ...] = ()

    def appended(self, sequences: Int64, vectors: Float32) -> "Head":
        """A head with more rows at its end.

        Args:
            sequences: int64 [n], ascending, past all that are here.
            vectors: float32 [n, d], unit length.

        """
        chunks, done = list(self._chunks), 0
        while done < len(sequences):
            within = (self.rows + done) % CHUNK_ROWS
            rows = min(CHUNK_ROWS - within, len(sequences) - done)
            last = chunks.pop() if within else _Chunk.with_room(rows, self.dimension)
            chunk = last.extended(within, rows)
            chunk.append(sequences[done : done + rows], vectors[done : done + rows])
            chunks.append(chunk)
            done += rows
        return Head(self.dimension, self.rows + done, tuple(chunks))

    def keeping(self, positions: Int64) -> "Head":
        """A head of the rows at `int64 [n]`, ascending, in arrays of its own."""
        kept = Head(self.dimension)
        for start, sequences, vectors in self._filled():
            here = positions[slice(*np.searchsorted(positions, [start, start + CHUNK_ROWS]))] - start
            kept = kept.appended(sequences[here], vectors[here])
        return kept

    def sequences(self) -> Int64:
        """Of all rows, `int64 [rows]`, ascending."""
        return np.concatenate([np.empty(0, np.int64), *(sequences for _, sequences, _ in self._filled())])

    def positions(self, sequences: Int64) -> Int64:
        """The rows of those of `int64 [n]`, ascending, that are here."""
        found = [np.empty(0, np.int64)]
        for start, here, _ in self._filled():
            found.append(start + positions_of(sequences, here))
        return np.concatenate(found)

    def search(self, queries: Float32, k: int, mask: RowMask) -> Neighbours:
        """The k nearest of the rows in the mask, for contiguous `float32 [q, d], unit length`; in any order."""
        parts = [Neighbours.none(len(queries), 0)]
        for start, sequences, vectors in self._filled():
            part = mask.part(start, len(sequences)) if mask.count < mask.rows else None
            if part is None or part.count:
                parts.append(nearest(queries, k, vectors, sequences, part))
        return Neighbours.best(parts, k)

    def _filled(self) -> list[tuple[int, Int64, Float32]]:
        starts = range(0, self.rows, CHUNK_ROWS)
        ends = [min(CHUNK_ROWS, self.rows - start) for start in starts]
        return [
            (start, chunk.sequences[:end], chunk.vectors[:end])
            for start, end, chunk in zip(starts, ends, self._chunks, strict=True)
        ]
