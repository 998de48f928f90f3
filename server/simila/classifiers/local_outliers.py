"""Which of a few vectors lie where the others do not (local outlier factor, Breunig et al. 2000)."""

import numpy as np

from simila.domain.vectors import Float32, Float64

NEIGHBOURS = 10
OUTLIER_FACTOR = 1.5  # scikit-learn's, too
_SMALLEST_DENSITY_TERM = 1e-10


def local_outlier_factors(vectors: Float32, neighbours: int = NEIGHBOURS) -> Float64:
    """How much thinner it is around each of `float32 [n, d]` than around its neighbours: `float64 [n]`, near 1 inside.

    Distances are Euclidean. With fewer than three vectors there is no inside, and all factors are 1.
    """
    count = min(neighbours, len(vectors) - 1)
    if count < 2:
        return np.ones(len(vectors))
    distances = _distances(vectors.astype(np.float64))
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :count]
    near = np.take_along_axis(distances, nearest, axis=1)
    reach = np.maximum(near, near[nearest, -1])
    density = 1 / (reach.mean(axis=1) + _SMALLEST_DENSITY_TERM)
    factors: Float64 = density[nearest].mean(axis=1) / density
    return factors


def _distances(vectors: Float64) -> Float64:
    squared_lengths = np.einsum("nd,nd->n", vectors, vectors)
    squares = squared_lengths[:, np.newaxis] + squared_lengths - 2 * vectors @ vectors.T
    distances: Float64 = np.sqrt(np.maximum(squares, 0))
    np.fill_diagonal(distances, np.inf)
    return distances
