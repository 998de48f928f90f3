"""Vectors as points of a plane, by their first two principal components (Pearson 1901)."""

from dataclasses import dataclass

import numpy as np

from simila.domain.vectors import Float32


@dataclass(frozen=True, eq=False)
class Plane:
    """Where vectors lie: `mean float32 [d]` is the origin, `axes float32 [d, 2]` the two directions."""

    mean: Float32
    axes: Float32

    def places(self, vectors: Float32) -> Float32:
        """Place `float32 [n, d]`: `float32 [n, 2]`."""
        return ((vectors - self.mean) @ self.axes).astype(np.float32)


class PlaneFit:
    """Collects vectors in chunks, and finds the plane in which they vary most."""

    def __init__(self, dimension: int) -> None:
        self._count = 0
        self._total = np.zeros(dimension)
        self._products = np.zeros((dimension, dimension))

    def add(self, vectors: Float32) -> None:
        """Take `float32 [n, d]` into account."""
        self._count += len(vectors)
        self._total += vectors.sum(axis=0, dtype=np.float64)
        self._products += vectors.T @ vectors

    def plane(self) -> Plane:
        """The plane of all vectors so far; each axis points to where its largest value is above zero."""
        count = max(self._count, 1)
        mean = self._total / count
        _, all_axes = np.linalg.eigh(self._products / count - np.outer(mean, mean))  # ascending order
        axes = all_axes[:, :-3:-1]
        largest = np.abs(axes).argmax(axis=0)
        return Plane(mean.astype(np.float32), (axes * np.sign(axes[largest, [0, 1]])).astype(np.float32))
