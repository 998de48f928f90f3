"""Vectors as points of a plane, by their first two principal components (Pearson 1901); how alike neighbours are."""

import numpy as np

from simila.domain.vectors import Float32

_ROWS_AT_ONCE = 1024


class PlaneFit:
    """Collects vectors in chunks, then places them and any others; the mean of all is the origin."""

    def __init__(self, dimension: int) -> None:
        self._count = 0
        self._total = np.zeros(dimension)
        self._products = np.zeros((dimension, dimension))
        self._mean: Float32 = np.zeros(dimension, np.float32)
        self._axes: Float32 = np.zeros((dimension, 2), np.float32)

    def add(self, vectors: Float32) -> None:
        """Take `float32 [n, d]` into account."""
        self._count += len(vectors)
        self._total += vectors.sum(axis=0, dtype=np.float64)
        self._products += vectors.T @ vectors

    def finish(self) -> None:
        """Find the two axes along which the vectors vary most."""
        count = max(self._count, 1)
        mean = self._total / count
        _, axes = np.linalg.eigh(self._products / count - np.outer(mean, mean))  # ascending order
        self._mean, self._axes = mean.astype(np.float32), axes[:, :-3:-1].astype(np.float32)

    def places(self, vectors: Float32) -> Float32:
        """Place `float32 [n, d]`: `float32 [n, 2]`."""
        return ((vectors - self._mean) @ self._axes).astype(np.float32)


def nearest_cosines(vectors: Float32) -> Float32:
    """The cosine of each of `float32 [n, d], unit length` and its nearest other, `float32 [n]`; -1 of a lone one."""
    nearest = np.full(len(vectors), -1, np.float32)
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        cosines = vectors[start : start + _ROWS_AT_ONCE] @ vectors.T
        rows = np.arange(len(cosines))
        cosines[rows, start + rows] = -1
        nearest[start : start + _ROWS_AT_ONCE] = cosines.max(axis=1)
    return nearest
