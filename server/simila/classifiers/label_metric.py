"""Geometry of labels: some mistakes are nearer to the truth than others (Loki, Roberts et al. 2023)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simila.classifiers.labels import check_labels
from simila.domain.errors import InvalidInput, InvalidLabels, quoted
from simila.domain.vectors import Float64

_SYMMETRY_TOLERANCE = 1e-9  # relative to the largest distance
LARGEST_DISTANCE = 1e100  # its square is a number, and so is the sum of many


@dataclass(frozen=True, eq=False)
class LabelMetric:
    """Distances `float64 [c, c]` between labels: symmetric, not negative, zero on the diagonal."""

    labels: tuple[str, ...]
    distances: Float64

    def frechet_scores(self, seen: Sequence[str], probabilities: Float64) -> Float64:
        """Scores `float64 [n, c]` of all labels, of probabilities `float64 [n, s]` of the labels in `seen`.

        The score of a label is minus the expected squared distance from it; the best is the Frechet mean, and may be a
        label that was never `seen`. Where all distances are one, the order is that of the probabilities.

        Raises:
            InvalidLabels: a label of `seen` has no distances.

        """
        position_of = {label: position for position, label in enumerate(self.labels)}
        for label in seen:
            if label not in position_of:
                raise InvalidLabels(f"the label {quoted(label)} has no distances", param="label_metric")
        return -probabilities @ self.distances[[position_of[label] for label in seen]] ** 2


def label_metric(labels: Sequence[str], distances: Sequence[Sequence[float]] | Float64) -> LabelMetric:
    """Check a caller's distances.

    The triangle inequality is no condition, because Frechet means need none.

    Raises:
        InvalidLabels: see `check_labels`.
        InvalidInput: not as many each way as labels, or not finite, symmetric, at least 0, and 0 on the diagonal; or
            larger than `LARGEST_DISTANCE`.

    """
    check_labels(labels, param="label_metric.labels")
    try:
        matrix = np.array(distances, dtype=np.float64)
    except ValueError as error:
        raise InvalidInput("the label metric's rows are not of one length", param="label_metric") from error
    size = len(labels)
    if matrix.shape != (size, size):
        shape = " x ".join(map(str, matrix.shape))
        raise InvalidInput(f"the label metric is {shape}; {size} labels need {size} x {size}", param="label_metric")
    largest = np.abs(matrix).max()
    faults = {
        "is not finite": ~np.isfinite(matrix),
        "is negative": matrix < 0,
        f"is more than {LARGEST_DISTANCE:g}": matrix > LARGEST_DISTANCE,
        "is of a label to itself and not 0": np.diag(np.diag(matrix) != 0),
        "is not the same both ways": np.abs(matrix - matrix.T) > _SYMMETRY_TOLERANCE * largest,
    }
    for fault, places in faults.items():
        if places.any():
            row, column = np.argwhere(places)[0].tolist()
            both = f"{quoted(labels[row])} to {quoted(labels[column])}"
            raise InvalidInput(f"the label metric's distance of {both} {fault}", param="label_metric")
    return LabelMetric(tuple(labels), matrix)
