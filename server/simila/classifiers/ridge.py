"""Linear probe in closed form: regularised least squares on one-hot classes."""

from collections.abc import Sequence

import numpy as np

from simila.classifiers.linear_scorer import LinearScorer
from simila.classifiers.probe_checks import PENALTY, check_probe
from simila.classifiers.prototypes import class_totals
from simila.domain.vectors import Float32, Int64

SMALLEST_PENALTY = 2.0**-40  # of the gram matrix's trace, beside which less is lost in rounding
_ROWS_AT_A_TIME = 8192


def ridge_probe(
    vectors: Float32, item_classes: Int64, labels: Sequence[str], *, penalty: float = PENALTY
) -> LinearScorer:
    """Fit weights and an unpenalised intercept to `float32 [n, d]` with classes `int64 [n]` among `labels`.

    Minimises |XW + b - Y|^2 + penalty |W|^2 (Hoerl and Kennard 1970); scores are estimates of the one-hot Y. Rows are
    taken as float64 a few at a time: memory is that of a d x d matrix.

    Raises:
        InvalidLabels: see `check_labels`.
        NoExamples: a class has no items.
        InvalidInput: the penalty is not above 0.

    """
    check_probe(item_classes, labels, penalty)
    dimension = vectors.shape[1]
    vector_mean = vectors.mean(axis=0, dtype=np.float64)
    class_shares = np.bincount(item_classes, minlength=len(labels)) / len(vectors)
    gram, products = np.zeros((dimension, dimension)), np.zeros((len(labels), dimension))
    for start in range(0, len(vectors), _ROWS_AT_A_TIME):
        centred = vectors[start : start + _ROWS_AT_A_TIME] - vector_mean
        gram += centred.T @ centred
        products += class_totals(centred, item_classes[start : start + _ROWS_AT_A_TIME], len(labels))
    # Centred vectors sum to nothing, so centring the classes too would change no product.
    gram[np.diag_indices(dimension)] += max(penalty, SMALLEST_PENALTY * gram.trace())
    weights = np.linalg.solve(gram, products.T).T
    return LinearScorer(tuple(labels), weights, class_shares - weights @ vector_mean)
