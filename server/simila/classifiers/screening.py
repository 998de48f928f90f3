"""The best classes of each vector: among many, rough scores find those that could be, and float64 decides."""

import math
from dataclasses import dataclass

import numpy as np

from simila.classifiers.coded_weights import LARGEST_DIMENSION
from simila.classifiers.linear_scorer import LinearScorer
from simila.classifiers.top_k import top_k_columns
from simila.domain.vectors import Float32, Float64, Int64

# Below, scoring all in float64 takes no longer than choosing whom to look at twice.
FEWEST_WEIGHTS_TO_SCREEN = 2**15
# Below, float32 weights are read in less than a millisecond, and 8 bits would leave more classes to look at twice.
FEWEST_WEIGHTS_TO_CODE = 2**22
# So many are looked at twice even for fewer: a class that is not among them has a probability below one in so many, and
# what its rough score is wrong by is lost in the sum of a softmax.
FEWEST_TO_LOOK_AT_TWICE = 256
# A wanted share of classes above which most would be looked at twice.
LARGEST_SHARE_TO_SCREEN = 1 / 2

_UNIT_ROUNDOFF = 2.0**-24
_LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
_SMALLEST_FLOAT32 = float(np.finfo(np.float32).tiny)
_LONGEST_VECTOR = 1.01  # half precision makes unit vectors of about this length
_CLASSES_A_BLOCK = 4096
_CLASSES_A_SECOND_LOOK = 256


@dataclass(frozen=True, eq=False)
class BestScores:
    """The k best of c classes for n vectors, best first, ties in the order of the classes.

    `scores` are float64's. `all_scores` are too where no class was screened, and else the rough ones of those that
    could not be among the best.
    """

    columns: Int64  # [n, k]
    scores: Float64  # [n, k]
    all_scores: Float32 | Float64  # [n, c]


def kept_bytes(classes: int, dimension: int, bytes_a_weight: int) -> int:
    """What the weights `[classes, dimension]` of a scorer take in memory, its codes with them."""
    return classes * dimension * (bytes_a_weight + _is_coded(classes, dimension))


def best_scores(scorer: LinearScorer, vectors: Float32, top_k: int | None) -> BestScores:
    """The `top_k` (or all) best classes of each of `float32 [n, d], unit length`, as float64 orders them.

    Reading the weights is what takes the time. As float32 they are half as many bytes, as 8-bit codes an eighth, and
    what that puts a score off by has a bound. A class whose score and bound do not reach `top_k` others' without
    theirs cannot be among the best. The rest are computed again, equal weights to equal scores.
    """
    classes, dimension = scorer.weights.shape
    is_small = classes * dimension < FEWEST_WEIGHTS_TO_SCREEN
    if is_small or top_k is None or top_k > LARGEST_SHARE_TO_SCREEN * classes:
        return _unscreened(scorer, vectors, top_k)
    error_bound = _error_bound(scorer)
    if math.isinf(error_bound):
        return _unscreened(scorer, vectors, top_k)
    wanted = top_k
    errors: Float32 | Float64
    if _is_coded(classes, dimension):
        rough, errors = _coded_scores(scorer, vectors, error_bound)
        wanted = min(max(top_k, FEWEST_TO_LOOK_AT_TWICE), classes)
    else:
        rough, errors = _float32_scores(scorer, vectors), np.array(error_bound)
    columns = np.empty((len(vectors), top_k), dtype=np.int64)
    scores = np.empty((len(vectors), top_k))
    for row, vector in enumerate(vectors.astype(np.float64)):
        able = _able(rough[row], errors, wanted)
        exact = _scores_of(scorer, able, vector)
        best = np.argsort(-exact, kind="stable")[:top_k]
        columns[row], scores[row] = able[best], exact[best]
        rough[row, able] = exact
    return BestScores(columns, scores, rough)


def _unscreened(scorer: LinearScorer, vectors: Float32, top_k: int | None) -> BestScores:
    scores = scorer.scores(vectors)
    columns = top_k_columns(scores, top_k)
    return BestScores(columns, np.take_along_axis(scores, columns, axis=1), scores)


def _is_coded(classes: int, dimension: int) -> bool:
    return classes * dimension >= FEWEST_WEIGHTS_TO_CODE and dimension <= LARGEST_DIMENSION


def _coded_scores(scorer: LinearScorer, vectors: Float32, float32_bound: float) -> tuple[Float32, Float32]:
    """Scores `float32 [n, c]`, and how far each class's `float32 [c]` may be off."""
    coded = scorer.coded_weights
    scores, slack = coded.scores(vectors)
    scores += scorer.float32_biases
    # Float32's bound, for less would do, stands for the roundings here and where scores and errors are compared.
    return scores, _LONGEST_VECTOR * coded.errors + (slack + float32_bound)


def _float32_scores(scorer: LinearScorer, vectors: Float32) -> Float32:
    weights, columns = scorer.float32_weights, np.ascontiguousarray(vectors.T)
    scores = np.empty((len(vectors), len(weights)), dtype=np.float32)
    for start in range(0, len(weights), _CLASSES_A_BLOCK):
        block = slice(start, start + _CLASSES_A_BLOCK)
        # This way round OpenBLAS takes two thirds of the time for 16 vectors.
        scores[:, block] = (weights[block] @ columns).T
    scores += scorer.float32_biases
    return scores


def _error_bound(scorer: LinearScorer) -> float:
    """How far a float32 score may be off; infinite where float32 may overflow.

    Whatever the order of its sum, at most gamma_d |w|.|x| (Higham 2002, section 3.1), which is at most gamma_d ||w||.
    """
    dimension = scorer.weights.shape[1]
    largest = scorer.largest_length * _LONGEST_VECTOR + scorer.largest_bias
    if not largest < _LARGEST_FLOAT32:
        return math.inf
    # Beyond the d roundings of the sum: those of weights and biases to float32, and room to spare for float64's.
    roundings = (dimension + 8) * _UNIT_ROUNDOFF
    gamma = roundings / (1 - roundings)
    underflow = dimension * _SMALLEST_FLOAT32
    bound: float = gamma * largest + underflow
    return bound


def _able(rough: Float32, errors: Float32 | Float64, wanted: int) -> Int64:
    """The classes `int64 [m]` that may be among the `wanted` best by scores `float32 [c]`, off by `errors` `[c]`."""
    surely = np.partition(rough - errors, -wanted)[-wanted]
    return np.flatnonzero(rough + errors >= surely)


def _scores_of(scorer: LinearScorer, classes: Int64, vector: Float64) -> Float64:
    scores = np.empty(len(classes))
    for start in range(0, len(classes), _CLASSES_A_SECOND_LOOK):
        block = classes[start : start + _CLASSES_A_SECOND_LOOK]
        # A matrix product may sum equal rows in different orders, and so tell apart what is the same.
        scores[start : start + _CLASSES_A_SECOND_LOOK] = np.einsum("cd,d->c", scorer.weights[block], vector)
    scores += scorer.biases[classes]
    return scores
