"""What classes are made of, and how scores become decisions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class KeywordClass:
    """A class that several phrases describe."""

    label: str
    phrases: Sequence[str]


@dataclass(frozen=True, eq=False)
class VectorClass:
    """A class whose prototype is given, `[d]` of any length."""

    label: str
    vector: Sequence[float] | NDArray[np.floating[Any]]


ClassSource = str | KeywordClass | VectorClass
"""A class by its name, by phrases, or by a vector."""


@dataclass(frozen=True, eq=False)
class LabelMetric:
    """Distances `[c, c]` between labels, in their order: symmetric, not negative, 0 on the diagonal."""

    labels: Sequence[str]
    distances: Sequence[Sequence[float]] | NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Rules:
    """How scores become decisions; without any, the best class is predicted.

    `thresholds` make it multi-label: one probability for all labels, or one each. Inputs of less familiarity than
    `unknown_below` have the label None. `priors` say how frequent the classes are among the inputs, or `estimate` has
    that estimated from those of the request. With a `label_metric` the prediction is the label of the least expected
    squared distance, seen or unseen; with a `label_tree`, which says what each label hangs below (the root below None),
    the deepest label of at least `confidence`.
    """

    thresholds: float | Mapping[str, float] | None = None
    unknown_below: float | None = None
    priors: Mapping[str, float] | Literal["estimate"] | None = None
    label_metric: LabelMetric | None = None
    label_tree: Mapping[str, str | None] | None = None
    confidence: float | None = None
