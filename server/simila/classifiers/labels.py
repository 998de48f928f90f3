"""What a set of class labels must be, and where each item's label is in it."""

from collections.abc import Sequence

import numpy as np

from simila.domain.errors import InvalidLabels, NoExamples, quoted
from simila.domain.vectors import Int64

FEWEST_CLASSES = 2


def check_labels(labels: Sequence[str], *, fewest: int = FEWEST_CLASSES, param: str = "labels") -> None:
    """Check the labels of a classifier, or of a geometry of them; errors name `param[position]`.

    Raises:
        InvalidLabels: fewer than `fewest`, a blank one, or one that occurs twice.

    """
    if len(labels) < fewest:
        raise InvalidLabels(f"{param}: at least {fewest} labels are needed, got {len(labels)}", param=param)
    seen: set[str] = set()
    for position, label in enumerate(labels):
        name = f"{param}[{position}]"
        if not label.strip():
            raise InvalidLabels(f"{name}: the label is blank", param=name)
        if label in seen:
            raise InvalidLabels(f"{name}: the label {quoted(label)} occurs twice", param=name)
        seen.add(label)


def class_positions(labels: Sequence[str]) -> tuple[tuple[str, ...], Int64]:
    """The classes in alphabetical order, and the position `int64 [n]` of each item's label among them."""
    classes = tuple(sorted(set(labels)))
    position_of = {label: position for position, label in enumerate(classes)}
    return classes, np.array([position_of[label] for label in labels], dtype=np.int64)


def check_examples(positions: Int64, classes: Sequence[str], *, fewest: int = 1) -> None:
    """Check that every class has examples; `positions int64 [n]` are of the items' labels among `classes`.

    Raises:
        NoExamples: a class has fewer than `fewest` items.

    """
    counts = np.bincount(positions, minlength=len(classes))
    lacking = np.flatnonzero(counts < fewest)
    if lacking.size:
        label, count = classes[lacking[0]], int(counts[lacking[0]])
        raise NoExamples(f"class {quoted(label)} has {count} items; at least {fewest} are needed", param="labels")
