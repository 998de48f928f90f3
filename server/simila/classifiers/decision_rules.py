"""Decision rules: from scores to ranked predictions."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from simila.classifiers.activations import Activation
from simila.classifiers.linear_scorer import LinearScorer
from simila.classifiers.screening import best_scores
from simila.classifiers.top_k import top_k_columns
from simila.domain.errors import InvalidInput
from simila.domain.results import Ranking
from simila.domain.vectors import Float32, Float64, Int64

_SCORES_AT_A_TIME = 2**22


def predict(scorer: LinearScorer, activation: Activation, vectors: Float32, top_k: int | None = None) -> list[Ranking]:
    """The `top_k` (or all) classes of each of `float32 [n, d], unit length`, best first, as float64 orders them.

    Where `best_scores` screens, probabilities of a softmax sum rough scores of the other classes.
    """
    rows = max(1, _SCORES_AT_A_TIME // len(scorer.labels))
    predictions = []
    for start in range(0, len(vectors), rows):
        best = best_scores(scorer, vectors[start : start + rows], top_k)
        probabilities = activation.of_best(best.scores, best.columns, best.all_scores)
        cosines = scorer.cosines(best.scores, best.columns)
        predictions += _rankings(scorer.labels, best.columns, probabilities, cosines)
    return predictions


def ranked(
    labels: Sequence[str], scores: Float64, probabilities: Float64, cosines: Float64, top_k: int | None
) -> list[Ranking]:
    """The `top_k` (or all) classes of each row, by score; all arrays are `float64 [n, c]`.

    Not by probability: a sigmoid is exactly 1 above logits of 37, where scores still tell classes apart.
    """
    order = top_k_columns(scores, top_k)
    best_probabilities = np.take_along_axis(probabilities, order, axis=1)
    return _rankings(labels, order, best_probabilities, np.take_along_axis(cosines, order, axis=1))


def _rankings(labels: Sequence[str], columns: Int64, probabilities: Float64, cosines: Float64) -> list[Ranking]:
    rows = zip(columns.tolist(), probabilities.tolist(), cosines.tolist(), strict=True)
    return [Ranking([labels[column] for column in row], *values) for row, *values in rows]


def above_thresholds(probabilities: Float64, thresholds: Float64) -> NDArray[np.bool_]:
    """Which labels an input has, if it may have any number: `bool [n, c]`, by each label's own threshold `[c]`.

    Raises:
        InvalidInput: there are more or fewer thresholds than labels, or one is no number.

    """
    if thresholds.shape != probabilities.shape[1:]:
        message = f"{len(thresholds)} thresholds for {probabilities.shape[1]} labels; each label needs one"
        raise InvalidInput(message, param="thresholds")
    if np.isnan(thresholds).any():
        raise InvalidInput("a threshold is no number", param="thresholds")
    return probabilities >= thresholds
