"""The best classes of each vector: among many, float32 finds those that could be, and float64 decides."""

import math
from dataclasses import dataclass

import numpy as np

from simila.classifiers.linear_scorer import LinearScorer
from simila.classifiers.top_k import top_k_columns
from simila.domain.vectors import Float32, Float64, Int64

# Below, scoring all in float64 takes no longer than choosing whom to look at twice.
FEWEST_WEIGHTS_TO_SCREEN = 2**15
# A wanted share of classes above which most would be looked at twice.
LARGEST_SHARE_TO_SCREEN = 1 / 2

_UNIT_ROUNDOFF = 2.0**-24
_LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
_LONGEST_VECTOR = 1.01  # half precision makes unit vectors of about this length
_CLASSES_A_BLOCK = 4096
_CLASSES_A_SECOND_LOOK = 64  # whose weights as float64 are no larger than what malloc hands out again


@dataclass(frozen=True, eq=False)
class BestScores:
    """The k best of c classes for n vectors, best first, ties in the order of the classes.

    `scores` are float64's. `all_scores` are too where no class was screened, and else those of float32.
    """

    columns: Int64  # [n, k]
    scores: Float64  # [n, k]
    all_scores: Float32 | Float64  # [n, c]


def best_scores(scorer: LinearScorer, vectors: Float32, top_k: int | None) -> BestScores:
    """The `top_k` (or all) best classes of each of `float32 [n, d], unit length`, as float64 orders them.

    Reading the weights is what takes the time, and as float32 they are half as many bytes. A float32 score, whatever
    the order of its sum, is off by at most gamma_d |w|.|x| (Higham 2002, section 3.1), which is at most
    gamma_d ||w||. A class whose score is below `top_k` others' by more than twice that bound cannot be among the
    best. The rest are computed again, equal weights to equal scores.
    """
    classes, dimension = scorer.weights.shape
    is_small = classes * dimension < FEWEST_WEIGHTS_TO_SCREEN
    if is_small or top_k is None or top_k > LARGEST_SHARE_TO_SCREEN * classes:
        return _unscreened(scorer, vectors, top_k)
    error_bound = _error_bound(scorer)
    if math.isinf(error_bound):
        return _unscreened(scorer, vectors, top_k)
    rough = _rough_scores(scorer, vectors)
    columns = np.empty((len(vectors), top_k), dtype=np.int64)
    scores = np.empty((len(vectors), top_k))
    for row, vector in enumerate(vectors.astype(np.float64)):
        able = _able(rough[row], error_bound, top_k)
        exact = _scores_of(scorer, able, vector)
        best = np.argsort(-exact, kind="stable")[:top_k]
        columns[row], scores[row] = able[best], exact[best]
    return BestScores(columns, scores, rough)


def _unscreened(scorer: LinearScorer, vectors: Float32, top_k: int | None) -> BestScores:
    scores = scorer.scores(vectors)
    columns = top_k_columns(scores, top_k)
    return BestScores(columns, np.take_along_axis(scores, columns, axis=1), scores)


def _rough_scores(scorer: LinearScorer, vectors: Float32) -> Float32:
    weights, columns = scorer.float32_weights, np.ascontiguousarray(vectors.T)
    scores = np.empty((len(vectors), len(weights)), dtype=np.float32)
    for start in range(0, len(weights), _CLASSES_A_BLOCK):
        block = slice(start, start + _CLASSES_A_BLOCK)
        # This way round OpenBLAS takes two thirds of the time for 16 vectors.
        scores[:, block] = (weights[block] @ columns).T
    scores += scorer.float32_biases
    return scores


def _error_bound(scorer: LinearScorer) -> float:
    """How far a rough score may be off; infinite where float32 may overflow."""
    dimension = scorer.weights.shape[1]
    largest = scorer.largest_length * _LONGEST_VECTOR + scorer.largest_bias
    if not largest < _LARGEST_FLOAT32:
        return math.inf
    # Beyond the d roundings of the sum: those of weights and biases to float32, and room to spare for float64's.
    roundings = (dimension + 8) * _UNIT_ROUNDOFF
    gamma = roundings / (1 - roundings)
    underflow = dimension * float(np.finfo(np.float32).tiny)
    bound: float = gamma * largest + underflow
    return bound


def _able(rough: Float32, error_bound: float, top_k: int) -> Int64:
    last = float(np.partition(rough, -top_k)[-top_k])
    # Rounded down, because float32 compares.
    return np.flatnonzero(rough >= np.nextafter(np.float32(last - 2 * error_bound), np.float32(-np.inf)))


def _scores_of(scorer: LinearScorer, classes: Int64, vector: Float64) -> Float64:
    scores = np.empty(len(classes))
    for start in range(0, len(classes), _CLASSES_A_SECOND_LOOK):
        block = classes[start : start + _CLASSES_A_SECOND_LOOK]
        # A matrix product may sum equal rows in different orders, and so tell apart what is the same.
        weights = scorer.weights[block].astype(np.float64, copy=False)
        scores[start : start + _CLASSES_A_SECOND_LOOK] = np.einsum("cd,d->c", weights, vector) + scorer.biases[block]
    return scores
