"""Do probabilities mean what they say? How far they are off, and the scale that mends it."""

from dataclasses import dataclass

import numpy as np

from simila.classifiers.activations import Activation, softmax
from simila.domain.errors import InvalidInput, NoExamples
from simila.domain.vectors import Float64, Int64

BINS = 15
SMALLEST_SCALE, LARGEST_SCALE = 1e-6, 1e6
_MOST_STEPS = 100
_SCALE_TOLERANCE = 1e-9  # relative


@dataclass(frozen=True, eq=False)
class Calibration:
    """Inputs by the probability of their best class, in equal bins of (0, 1]; 0 where a bin is empty.

    `error` is the expected calibration error: the mean distance of confidence and accuracy over the inputs.
    """

    counts: Int64  # [bins]
    confidences: Float64  # [bins]
    accuracies: Float64  # [bins]
    error: float


def calibration(probabilities: Float64, item_classes: Int64, bins: int = BINS) -> Calibration:
    """Compare probabilities `float64 [n, c]` with true classes `int64 [n]` (Naeini et al. 2015, Guo et al. 2017).

    Raises:
        NoExamples: there are no inputs.
        InvalidInput: `bins` is less than 1.

    """
    if not len(probabilities):
        raise NoExamples("without labelled inputs there is no calibration")
    if bins < 1:
        raise InvalidInput(f"{bins} bins; at least one is needed", param="bins")
    confidence = probabilities.max(axis=1)
    is_right = probabilities.argmax(axis=1) == item_classes
    bin_of = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(bin_of, minlength=bins)
    divisors = np.maximum(counts, 1)
    confidences = np.bincount(bin_of, weights=confidence, minlength=bins) / divisors
    accuracies = np.bincount(bin_of, weights=is_right, minlength=bins) / divisors
    error = float(np.abs(accuracies - confidences) @ counts / len(probabilities))
    return Calibration(counts, confidences, accuracies, error)


def fitted_temperature(scores: Float64, item_classes: Int64) -> Activation:
    """The softmax under which true classes `int64 [n]` of scores `float64 [n, c]` are most likely (Guo et al. 2017).

    Its scale is 1 / temperature, within `SMALLEST_SCALE` and `LARGEST_SCALE`: where scores always favour the true
    class, no scale is large enough. The log-likelihood is concave in the scale, so Newton's steps inside a shrinking
    bracket find its one maximum.

    Raises:
        NoExamples: there are no scores.
        InvalidInput: a score is not finite.

    """
    if not len(scores):
        raise NoExamples("a temperature is fitted to labelled inputs, and there are none")
    if not np.isfinite(scores).all():
        raise InvalidInput("a temperature cannot be fitted to scores that are not finite")
    true_scores = scores[np.arange(len(scores)), item_classes]
    low, high, scale = SMALLEST_SCALE, LARGEST_SCALE, 1.0
    for _ in range(_MOST_STEPS):
        slope, curvature = _slope_and_curvature(scores, true_scores, scale)
        low, high = (scale, high) if slope < 0 else (low, scale)
        following = scale - slope / curvature if curvature > 0 else np.inf
        if not low < following < high:
            following = float(np.sqrt(low * high))
        if abs(following - scale) <= _SCALE_TOLERANCE * scale:
            break
        scale = following
    return Activation(scale=scale)


def _slope_and_curvature(scores: Float64, true_scores: Float64, scale: float) -> tuple[float, float]:
    """Of the mean negative log-likelihood, by the scale."""
    probabilities = softmax(scale * scores)
    means = np.einsum("nc,nc->n", probabilities, scores)
    variances = np.einsum("nc,nc->n", probabilities, (scores - means[:, np.newaxis]) ** 2)
    return float((means - true_scores).mean()), float(variances.mean())
