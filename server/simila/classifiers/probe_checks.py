"""What a linear probe is fitted to."""

from collections.abc import Sequence

from simila.classifiers.labels import check_examples, check_labels
from simila.domain.errors import InvalidInput
from simila.domain.vectors import Int64

PENALTY = 1.0


def check_probe(item_classes: Int64, labels: Sequence[str], penalty: float) -> None:
    """Check the classes `int64 [n]` of items among `labels`, and how much weights cost.

    Raises:
        InvalidLabels: see `check_labels`.
        NoExamples: a class has no items.
        InvalidInput: the penalty is not above 0.

    """
    check_labels(labels)
    check_examples(item_classes, labels)
    if not penalty > 0:
        raise InvalidInput(f"the penalty is {penalty}; it must be above 0", param="penalty")
