"""The best of each row, without sorting the rest."""

import numpy as np

from simila.domain.vectors import Float64, Int64


def top_k_columns(scores: Float64, k: int | None) -> Int64:
    """Columns `int64 [n, k]` of the `k` (or all) best of each row of `float64 [n, c]`, best first, ties in order."""
    if k is None or k >= scores.shape[1]:
        return np.argsort(-scores, axis=1, kind="stable")
    return np.array([_top_k(row, k) for row in scores], dtype=np.int64).reshape(-1, k)


def _top_k(scores: Float64, k: int) -> Int64:
    # Partition finds the boundary only: which of several equal scores it puts above it is arbitrary.
    boundary = np.partition(scores, -k)[-k]
    able = np.flatnonzero(scores >= boundary)
    best: Int64 = able[np.argsort(-scores[able], kind="stable")[:k]]
    return best
