"""Score many classes in float32, and again in float64 those that could be among the best."""

import numpy as np

from simila.classifiers.linear_scorer import LinearScorer
from simila.domain.vectors import Float32, Float64, Int64

# Below, scoring all in float64 takes no longer than choosing whom to look at twice.
FEWEST_WEIGHTS_TO_SCREEN = 2**18
# A wanted share of classes above which most would be looked at twice.
LARGEST_SHARE_TO_SCREEN = 1 / 8

_UNIT_ROUNDOFF = 2.0**-24
_CLASSES_A_BLOCK = 4096


def scores_exact_at_the_top(scorer: LinearScorer, vectors: Float32, top_k: int | None) -> Float64:
    """Scores `float64 [n, c]` of `float32 [n, d]`, in which each row's `top_k` best are those of float64.

    Reading the weights is what takes the time, and as float32 they are half as many bytes. A float32 score, whatever
    the order of its sum, is off by at most gamma_d |w|.|x| (Higham 2002, section 3.1), which is at most
    gamma_d ||w|| ||x||. A class whose score plus that bound is below `top_k` others' scores less theirs cannot be among
    the best. The rest are computed again, equal weights to equal scores. All other scores are within the bound.
    """
    classes, dimension = scorer.weights.shape
    is_small = classes * dimension < FEWEST_WEIGHTS_TO_SCREEN
    if is_small or top_k is None or top_k > LARGEST_SHARE_TO_SCREEN * classes:
        return scorer.scores(vectors)
    with np.errstate(over="ignore", invalid="ignore"):
        scores = (vectors @ scorer.float32_weights.T).astype(np.float64) + scorer.biases
    if not np.isfinite(scores).all():
        return scorer.scores(vectors)
    for row, vector in zip(scores, vectors.astype(np.float64), strict=True):
        able = _able(row, _error_bounds(scorer, float(np.linalg.norm(vector))), top_k)
        row[able] = _scores_of(scorer, able, vector)
    return scores


def _error_bounds(scorer: LinearScorer, vector_length: float) -> Float64:
    dimension = scorer.weights.shape[1]
    # Beyond the d roundings of the sum: that of the weights to float32, and with room to spare those of float64.
    roundings = (dimension + 8) * _UNIT_ROUNDOFF
    gamma = roundings / (1 - roundings)
    underflow = dimension * float(np.finfo(np.float32).tiny)
    bounds: Float64 = gamma * (scorer.lengths * vector_length + np.abs(scorer.biases)) + underflow
    return bounds


def _able(scores: Float64, error_bounds: Float64, top_k: int) -> Int64:
    surely = np.partition(scores - error_bounds, -top_k)[-top_k]
    return np.flatnonzero(scores + error_bounds >= surely)


def _scores_of(scorer: LinearScorer, classes: Int64, vector: Float64) -> Float64:
    scores = np.empty(len(classes))
    for start in range(0, len(classes), _CLASSES_A_BLOCK):
        block = classes[start : start + _CLASSES_A_BLOCK]
        # A matrix product may sum equal rows in different orders, and so tell apart what is the same.
        scores[start : start + _CLASSES_A_BLOCK] = (scorer.weights[block] * vector).sum(axis=1) + scorer.biases[block]
    return scores
