"""Labels as a tree: how far they are from each other, and the most specific one that is certain enough."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simila.classifiers.label_metric import LabelMetric
from simila.classifiers.labels import check_labels
from simila.domain.errors import InvalidInput, InvalidLabels, quoted
from simila.domain.vectors import Float64, Int64

_SUREST = float(np.nextafter(1.0, 0.0))  # whose complement still has a logarithm


@dataclass(frozen=True, eq=False)
class LabelTree:
    """`ancestry float64 [c, c]` is 1 where the row's label is the column's or lies below it.

    Depths, distances and sums over branches are then products of matrices; a tree of thousands is small enough for it.
    """

    labels: tuple[str, ...]
    ancestry: Float64

    @property
    def depths(self) -> Int64:
        """Steps from the root to each label `int64 [c]`."""
        depths: Int64 = self.ancestry.sum(axis=1).astype(np.int64) - 1
        return depths

    def metric(self) -> LabelMetric:
        """The number of steps from label to label."""
        common = self.ancestry @ self.ancestry.T - 1
        return LabelMetric(self.labels, self.depths[:, np.newaxis] + self.depths - 2 * common)

    def masses(self, seen: Sequence[str], probabilities: Float64, *, exclusive: bool = True) -> Float64:
        """The probability `float64 [n, c]` of each label or any below it, of `float64 [n, s]` of labels in `seen`.

        Labels that are `exclusive` add up. Others, as a sigmoid's, are independent: any is there unless all are not.

        Raises:
            InvalidLabels: a label of `seen` is not in the tree.

        """
        position_of = {label: position for position, label in enumerate(self.labels)}
        for label in seen:
            if label not in position_of:
                raise InvalidLabels(f"the label {quoted(label)} is not in the tree", param="label_tree")
        below = self.ancestry[[position_of[label] for label in seen]]
        if exclusive:
            return probabilities @ below
        absent = np.log1p(-np.minimum(probabilities, _SUREST))
        masses: Float64 = -np.expm1(absent @ below)
        return masses

    def deepest_confident(self, masses: Float64, confidence: float) -> Int64:
        """Positions `int64 [n]` of the deepest label of at least `confidence`, the most probable of equally deep ones.

        The root is certain, so there always is one (Deng et al. 2012: hedging one's bets).

        Raises:
            InvalidInput: the confidence is not within 0 and 1, excluding 0.

        """
        if not 0 < confidence <= 1:
            message = f"the confidence is {confidence}; it must be above 0 and at most 1"
            raise InvalidInput(message, param="label_tree.confidence")
        is_confident = (masses >= confidence) | (self.depths == 0)
        depths_then_masses = np.where(is_confident, self.depths + np.clip(masses, 0, 1) / 2, -1)
        positions: Int64 = depths_then_masses.argmax(axis=1)
        return positions


def label_tree(parents: Mapping[str, str | None]) -> LabelTree:
    """The tree in which each label hangs below its parent, and the root below None.

    Raises:
        InvalidLabels: see `check_labels`; or a parent is no label itself.
        InvalidInput: there is not exactly one root, or labels are each other's ancestors.

    """
    labels = tuple(parents)
    check_labels(labels, param="label_tree.parents")
    position_of = {label: position for position, label in enumerate(labels)}
    ancestry = np.zeros((len(labels), len(labels)))
    for label in labels:
        for ancestor in _way_to_the_root(label, parents):
            ancestry[position_of[label], position_of[ancestor]] = 1
    roots = [label for label, parent in parents.items() if parent is None]
    if len(roots) != 1:
        raise InvalidInput(f"a label tree needs one root, and {len(roots)} labels have no parent", param="label_tree")
    return LabelTree(labels, ancestry)


def _way_to_the_root(label: str, parents: Mapping[str, str | None]) -> list[str]:
    way: list[str] = []
    following: str | None = label
    while following is not None:
        if following not in parents:
            message = f"{quoted(way[-1])} hangs below {quoted(following)}, which is no label"
            raise InvalidLabels(message, param="label_tree")
        if len(way) > len(parents):
            raise InvalidInput(f"the label {quoted(label)} is below itself", param="label_tree")
        way.append(following)
        following = parents[following]
    return way
