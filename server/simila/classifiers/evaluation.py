"""How good predictions were: accuracy, F1, the confusion matrix, and telling the unknown from the known."""

from dataclasses import dataclass

import numpy as np

from simila.domain.errors import NoExamples
from simila.domain.vectors import Float64, Int64

REJECTED = -1


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Figures of n predictions over c classes; a quotient by nothing is 0, as in scikit-learn.

    `confusion` counts by true class (row) and predicted class (column). Rejected inputs are in no column: they are
    wrong, and `rejected` counts them by true class.
    """

    confusion: Int64  # [c, c]
    rejected: Int64  # [c]

    @property
    def support(self) -> Int64:
        """Inputs of each true class `int64 [c]`."""
        support: Int64 = self.confusion.sum(axis=1) + self.rejected
        return support

    @property
    def accuracy(self) -> float:
        return float(np.trace(self.confusion) / self.support.sum())

    @property
    def precision(self) -> Float64:
        """Of the inputs predicted as a class, how many are: `float64 [c]`."""
        return _quotients(np.diag(self.confusion), self.confusion.sum(axis=0))

    @property
    def recall(self) -> Float64:
        """Of a class's inputs, how many were predicted as it: `float64 [c]`."""
        return _quotients(np.diag(self.confusion), self.support)

    @property
    def f1(self) -> Float64:
        """The harmonic mean of precision and recall `float64 [c]`."""
        return _quotients(2 * np.diag(self.confusion), self.confusion.sum(axis=0) + self.support)

    @property
    def macro_f1(self) -> float:
        """The mean of F1 over the classes, those without inputs too."""
        return float(self.f1.mean())


def evaluate(true_classes: Int64, predicted_classes: Int64, classes: int) -> Evaluation:
    """Compare predictions with the truth, both `int64 [n]`; predicted may be `REJECTED`.

    Raises:
        NoExamples: there are no predictions.

    """
    if not len(true_classes):
        raise NoExamples("without labelled inputs there is nothing to evaluate")
    is_rejected = predicted_classes == REJECTED
    cells = true_classes[~is_rejected] * classes + predicted_classes[~is_rejected]
    return Evaluation(
        confusion=np.bincount(cells, minlength=classes * classes).reshape(classes, classes),
        rejected=np.bincount(true_classes[is_rejected], minlength=classes),
    )


def open_set_auroc(known_familiarity: Float64, unknown_familiarity: Float64) -> float:
    """The chance that an input of a known class is more familiar than one of an unknown class, equal ones by half.

    That is the area under the receiver operating characteristic (Mann-Whitney), of `float64 [n]` and `float64 [m]`.

    Raises:
        NoExamples: one of the two is empty.

    """
    if not len(known_familiarity) or not len(unknown_familiarity):
        raise NoExamples("the open-set AUROC needs inputs of known classes and of unknown ones")
    ordered = np.sort(unknown_familiarity)
    below = np.searchsorted(ordered, known_familiarity, side="left")
    not_above = np.searchsorted(ordered, known_familiarity, side="right")
    return float((below + not_above).sum() / (2 * len(known_familiarity) * len(unknown_familiarity)))


def _quotients(counts: Int64, totals: Int64) -> Float64:
    return np.where(totals > 0, counts / np.maximum(totals, 1), 0.0)
