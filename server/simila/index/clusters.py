"""Groups of like vectors, by k-means (Lloyd 1982) as FAISS does it."""

import faiss
import numpy as np

from simila.domain.vectors import Float32, Int64
from simila.index.openmp import use_build_threads

_ROUNDS = 25
_TRIALS = 10
_SEED = 4  # the same vectors make the same clusters


def cluster_centres(vectors: Float32, count: int) -> Float32:
    """The centres of `count` clusters of `float32 [n, d]`, n >= count: `float32 [count, d]`, of the largest first."""
    use_build_threads()
    kmeans = faiss.Kmeans(vectors.shape[1], count, niter=_ROUNDS, nredo=_TRIALS, seed=_SEED, min_points_per_centroid=1)
    kmeans.train(np.ascontiguousarray(vectors))
    centres: Float32 = np.asarray(kmeans.centroids)
    sizes = np.bincount(nearest_centres(vectors, centres), minlength=count)
    return centres[np.argsort(-sizes, kind="stable")]


def nearest_centres(vectors: Float32, centres: Float32) -> Int64:
    """Which of `float32 [c, d]` each of `float32 [n, d]` is nearest to: `int64 [n]`."""
    distances = (centres**2).sum(axis=1) - 2 * (vectors @ centres.T)  # less the vector's own square, the same for all
    return np.asarray(distances.argmin(axis=1), np.int64)
