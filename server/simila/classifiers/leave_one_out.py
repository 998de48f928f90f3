"""Nearest mean on its own examples, each judged as if it had not been learned."""

import numpy as np

from simila.classifiers.labels import check_examples
from simila.classifiers.prototypes import class_totals
from simila.domain.vectors import Float32, Float64, Int64


def nearest_mean_scores_without_own(vectors: Float32, item_classes: Int64, classes: int) -> Float64:
    """Scores `float64 [n, c]` as by `nearest_mean_scorer`, of `float32 [n, d], unit length`, each left out of its mean.

    In closed form: without x, the mean of its class is (S - x) / (n - 1), of the class's sum S; every other class is as
    it was. An only example leaves its class without a mean, and scores -inf there.

    Raises:
        NoExamples: a class has no items.

    """
    check_examples(item_classes, [str(number) for number in range(classes)])
    rows = vectors.astype(np.float64)
    counts = np.bincount(item_classes, minlength=classes)
    sums = class_totals(rows, item_classes, classes)
    means = sums / counts[:, np.newaxis]
    scores: Float64 = rows @ means.T - np.einsum("cd,cd->c", means, means) / 2
    own = np.arange(len(rows)), item_classes
    scores[own] = _own_scores(rows, sums[item_classes], counts[item_classes])
    return scores


def _own_scores(rows: Float64, own_sums: Float64, own_counts: Int64) -> Float64:
    left = own_sums - rows
    others = np.maximum(own_counts - 1, 1)
    scores = np.einsum("nd,nd->n", rows, left) / others - np.einsum("nd,nd->n", left, left) / (2 * others**2)
    return np.where(own_counts > 1, scores, -np.inf)
