"""How labelled items classify: each method can learn them, and judge each of them as if it had not been learned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, Self

import numpy as np

from simila.classifiers.activations import Activation
from simila.classifiers.blend import blended, example_weights
from simila.classifiers.calibration import fitted_temperature
from simila.classifiers.fitted_thresholds import fitted_thresholds
from simila.classifiers.leave_one_out import nearest_mean_scores_without_own
from simila.classifiers.linear_scorer import NEAREST_MEAN_ACTIVATION, cosine_scorer, nearest_mean_scorer
from simila.classifiers.nearest_neighbours import class_cosines, find_neighbours, neighbour_votes
from simila.classifiers.prototypes import Prototypes, class_totals
from simila.classifiers.rejection import kth_neighbour_cosine
from simila.domain.errors import NoExamples, NotReady
from simila.domain.vectors import Float32, Float64, Int64
from simila.services.class_models import ClassModel, LinearModel, NeighbourModel, Scored

MethodName = Literal["nearest_mean", "knn", "blend"]


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled vectors; every class of `labels` has at least one."""

    labels: tuple[str, ...]
    vectors: Float32  # [n, d], unit length
    item_classes: Int64  # [n]

    def of(self, rows: Int64) -> Self:
        """Some of them, by `int64 [m]`."""
        return replace(self, vectors=self.vectors[rows], item_classes=self.item_classes[rows])


class ExampleMethod(Protocol):
    def learned(self, examples: Examples) -> ClassModel: ...

    def left_out(self, examples: Examples) -> Scored:
        """Score each example by a model of all others; the cosines are not meant to be used."""
        ...


@dataclass(frozen=True)
class NearestMean:
    """The nearest mean of a class (Janson et al. 2022)."""

    activation: Activation = NEAREST_MEAN_ACTIVATION

    def learned(self, examples: Examples) -> ClassModel:
        return LinearModel(nearest_mean_scorer(_means(examples)), self.activation)

    def left_out(self, examples: Examples) -> Scored:
        scores = nearest_mean_scores_without_own(examples.vectors, examples.item_classes, len(examples.labels))
        return _scored(examples.labels, scores, self.activation)


@dataclass(frozen=True)
class NearestNeighbours:
    """The votes of the `k` nearest items."""

    k: int

    def learned(self, examples: Examples) -> ClassModel:
        return NeighbourModel(examples.labels, examples.vectors, examples.item_classes, self.k)

    def left_out(self, examples: Examples) -> Scored:
        neighbours = find_neighbours(
            examples.vectors, examples.vectors, min(self.k, len(examples.vectors) - 1), leave_one_out=True
        )
        votes = neighbour_votes(neighbours, examples.item_classes, len(examples.labels))
        cosines = class_cosines(neighbours, examples.item_classes, len(examples.labels))
        return Scored(examples.labels, votes, votes, cosines, kth_neighbour_cosine(neighbours))


@dataclass(frozen=True, eq=False)
class Blend:
    """Prompts of the label names and means of the items in one; `weight` of the means, or by how many there are."""

    texts: Prototypes
    activation: Activation
    weight: float | None = None

    def learned(self, examples: Examples) -> ClassModel:
        counts = np.bincount(examples.item_classes, minlength=len(examples.labels))
        return self.of_means(_means(examples), dict(zip(examples.labels, counts.tolist(), strict=True)))

    def of_means(self, means: Prototypes, counts: Mapping[str, int]) -> LinearModel:
        """By the means of classes, and of how many items each is."""
        texts = self._texts_of(means.labels)
        mixed = blended(texts, means, self._weights(np.array([counts[label] for label in texts.labels])))
        return LinearModel(cosine_scorer(mixed), self.activation)

    def left_out(self, examples: Examples) -> Scored:
        texts = self._texts_of(examples.labels)
        counts = np.bincount(examples.item_classes, minlength=len(examples.labels))
        totals = class_totals(examples.vectors, examples.item_classes, len(examples.labels))
        scores = np.empty((len(examples.vectors), len(examples.labels)))
        for row, own in enumerate(examples.item_classes.tolist()):
            left = counts.copy()
            left[own] -= 1
            means = totals / np.maximum(left, 1)[:, np.newaxis]
            means[own] = (totals[own] - examples.vectors[row]) / max(left[own], 1)
            known = np.flatnonzero(left)
            with_mean = Prototypes(tuple(examples.labels[position] for position in known), means[known])
            mixed = blended(texts, with_mean, self._weights(left))
            scores[row] = cosine_scorer(mixed).scores(examples.vectors[row : row + 1])[0]
        return _scored(examples.labels, scores, self.activation)

    def _weights(self, counts: Int64) -> Float64:
        if self.weight is None:
            return example_weights(counts)
        return np.where(counts > 0, self.weight, 0.0)

    def _texts_of(self, labels: tuple[str, ...]) -> Prototypes:
        return Prototypes(labels, self.texts.vectors[positions_among(self.texts.labels, labels)])


def positions_among(read: Sequence[str], labels: Sequence[str]) -> list[int]:
    """Where each of the `labels` is among those that were `read` at another moment of the same request.

    Raises:
        NotReady: items were written in between, and one is not.

    """
    position_of = {label: position for position, label in enumerate(read)}
    if not position_of.keys() >= set(labels):
        raise NotReady("the classes of the collection changed while this was computed; send this again", param="name")
    return [position_of[label] for label in labels]


def temperature_of(left_out: Scored, item_classes: Int64) -> Activation:
    """The softmax under which examples that were left out are most likely (Guo et al. 2017).

    Those that are the only ones of their class have no score there, and do not count.

    Raises:
        NoExamples: no class has two.

    """
    usable = np.isfinite(left_out.scores).all(axis=1)
    if not usable.any():
        message = "probabilities are calibrated on items judged by others of their class; no class has two items"
        raise NoExamples(message, param="calibrated")
    return fitted_temperature(left_out.scores[usable], item_classes[usable])


def thresholds_of(left_out: Scored, item_classes: Int64) -> Float64:
    """The threshold `float64 [c]` of each class under which examples that were left out have the largest F1.

    NaN for a class that has but one: it has no score where it is left out.
    """
    usable = np.isfinite(left_out.scores).all(axis=1)
    has = item_classes[usable, np.newaxis] == np.arange(len(left_out.labels))
    return fitted_thresholds(left_out.probabilities[usable], has)


def _scored(labels: tuple[str, ...], scores: Float64, activation: Activation) -> Scored:
    familiarity = activation.scale * scores.max(axis=1) + activation.bias
    return Scored(labels, scores, activation(scores), scores, familiarity)


def _means(examples: Examples) -> Prototypes:
    counts = np.bincount(examples.item_classes, minlength=len(examples.labels))
    totals = class_totals(examples.vectors, examples.item_classes, len(examples.labels))
    return Prototypes(examples.labels, totals / counts[:, np.newaxis])
