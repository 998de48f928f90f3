"""Decision rules: from scores to ranked predictions."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from simila.classifiers.activations import Activation
from simila.classifiers.linear_scorer import LinearScorer
from simila.classifiers.screening import scores_exact_at_the_top
from simila.classifiers.top_k import top_k_columns
from simila.domain.errors import InvalidInput
from simila.domain.results import Prediction
from simila.domain.vectors import Float32, Float64

_SCORES_AT_A_TIME = 2**22


def predict(
    scorer: LinearScorer, activation: Activation, vectors: Float32, top_k: int | None = None
) -> list[list[Prediction]]:
    """The `top_k` (or all) classes of each of `float32 [n, d], unit length`, best first, as float64 orders them.

    Probabilities of a softmax over more weights than `FEWEST_WEIGHTS_TO_SCREEN` sum float32 scores.
    """
    rows = max(1, _SCORES_AT_A_TIME // len(scorer.labels))
    predictions = []
    for start in range(0, len(vectors), rows):
        scores = scores_exact_at_the_top(scorer, vectors[start : start + rows], top_k)
        predictions += ranked(scorer.labels, scores, activation(scores), scorer.cosines(scores), top_k)
    return predictions


def ranked(
    labels: Sequence[str], scores: Float64, probabilities: Float64, cosines: Float64, top_k: int | None
) -> list[list[Prediction]]:
    """The `top_k` (or all) classes of each row, by score; all arrays are `float64 [n, c]`.

    Not by probability: a sigmoid is exactly 1 above logits of 37, where scores still tell classes apart.
    """
    order = top_k_columns(scores, top_k)
    best_probabilities = np.take_along_axis(probabilities, order, axis=1).tolist()
    best_cosines = np.take_along_axis(cosines, order, axis=1).tolist()
    return [
        [Prediction(labels[position], *both) for position, *both in zip(*row, strict=True)]
        for row in zip(order.tolist(), best_probabilities, best_cosines, strict=True)
    ]


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
