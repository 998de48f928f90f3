"""Vectors in memory: the store that the index is tested on, and the truth by brute force."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from simila.domain.vectors import Float32, Int64


def unit_vectors(seed: int, rows: int, dimension: int) -> Float32:
    """Random `float32 [rows, dimension], unit length`."""
    vectors = np.random.default_rng(seed).standard_normal((rows, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def clustered_vectors(seed: int, rows: int, dimension: int, clusters: int = 20) -> Float32:
    """Random `float32 [rows, dimension], unit length` around centres that are the same for every seed."""
    rng = np.random.default_rng(seed)
    near = unit_vectors(99, clusters, dimension)[rng.integers(0, clusters, rows)]
    vectors = near + 0.8 * unit_vectors(seed, rows, dimension)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


@dataclass(frozen=True)
class Chunk:
    sequences: Int64
    vectors: Float32


class MemoryVectors(dict[int, Float32]):
    """Rows by sequence, as a `StoredVectors`."""

    def __init__(self, sequences: Int64, vectors: Float32) -> None:
        super().__init__(zip(sequences.tolist(), vectors, strict=True))
        self.dimension = vectors.shape[1]

    def vectors(self, sequences: Int64) -> tuple[Int64, Float32]:
        found = [sequence for sequence in sequences.tolist() if sequence in self]
        return np.array(found, dtype=np.int64), stacked([self[sequence] for sequence in found], self.dimension)

    def scan(self, after_sequence: int, chunk_rows: int) -> Iterator[Chunk]:
        rest = np.array(sorted(sequence for sequence in list(self) if sequence > after_sequence), dtype=np.int64)
        for start in range(0, len(rest), chunk_rows):
            yield Chunk(*self.vectors(rest[start : start + chunk_rows]))


def stacked(vectors: list[Float32], dimension: int) -> Float32:
    return np.stack(vectors) if vectors else np.empty((0, dimension), np.float32)


def brute_force(rows: Mapping[int, Float32], query: Float32, k: int) -> tuple[list[int], Float32]:
    """The sequences of the k nearest rows, equal cosines by the lower sequence, and their cosines."""
    sequences = np.array(sorted(rows), dtype=np.int64)
    scores = np.array([rows[sequence] @ query for sequence in sequences.tolist()], dtype=np.float32)
    best = np.lexsort((sequences, -scores))[:k]
    return sequences[best].tolist(), scores[best]
