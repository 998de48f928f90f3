"""What a collection's labelled items teach, as results: how well they classify, and what was forgotten of them."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ClassFigures:
    """How one class did; `support` is how many of its items were judged.

    Under `best_threshold` its F1 would be largest if inputs could have several labels; None where nothing tells.
    """

    label: str
    support: int
    precision: float
    recall: float
    f1: float
    best_threshold: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """A method's figures on a collection's own items.

    `confusion` counts by true class (row) and predicted class (column), in the order of `classes`; `open_set_auroc` is
    None unless classes were held out.
    """

    method: str
    protocol: str
    items: int
    accuracy: float
    macro_f1: float
    classes: tuple[ClassFigures, ...]
    confusion: tuple[tuple[int, ...], ...]
    calibration_error: float
    open_set_auroc: float | None


@dataclass(frozen=True)
class Forgotten:
    """A receipt: how many items went, the first 1,000 of their ids, and of which classes; these have `remaining` now.

    `verified`: the classes' means agree with those made afresh, and no file holds what was forgotten.
    `stale_classifiers` had learned from it, and are erased. `unreadable_classifiers` may have: their records are
    damaged, and they are left.
    """

    items: int
    ids: tuple[str, ...]
    classes: Mapping[str, int]
    remaining: Mapping[str, int]
    verified: bool
    stale_classifiers: tuple[str, ...] = ()
    unreadable_classifiers: tuple[str, ...] = ()
