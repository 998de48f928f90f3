"""What classifies a vector: linear scores, or the labelled items around it, behind one interface."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from simila.classifiers.activations import Activation
from simila.classifiers.decision_rules import predict, ranked
from simila.classifiers.linear_scorer import LinearScorer
from simila.classifiers.nearest_neighbours import class_cosines, find_neighbours, neighbour_votes
from simila.classifiers.rejection import kth_neighbour_cosine, maximum_logit
from simila.domain.results import Ranking
from simila.domain.vectors import Float32, Float64, Int64

# Of numbers of vectors and of weights: a quarter of a millisecond.
MOST_PRODUCTS_AT_ONCE = 2**20


@dataclass(frozen=True, eq=False)
class Scored:
    """n inputs over c classes. `familiarity` is low for inputs of no class, in a unit of the model's own."""

    labels: tuple[str, ...]
    scores: Float64  # [n, c]
    probabilities: Float64  # [n, c]
    cosines: Float64  # [n, c]
    familiarity: Float64  # [n]


class ClassModel(Protocol):
    """Vectors `float32 [n, d], unit length` to scores over classes."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def is_exclusive(self) -> bool:
        """Whether an input's probabilities sum to 1."""
        ...

    @property
    def training_priors(self) -> Float64:
        """How frequent the classes are where the probabilities are right: `float64 [c]`, of sum 1."""
        ...

    def ranks_at_once(self, inputs: int) -> bool:
        """Whether ranking so many takes no longer than a thread takes to begin."""
        ...

    def scored(self, vectors: Float32) -> Scored: ...

    def ranked(self, vectors: Float32, top_k: int | None) -> Sequence[Ranking]:
        """The `top_k` (or all) classes of each vector, best first."""
        ...


@dataclass(frozen=True, eq=False)
class LinearModel:
    """Prompts, means and probes. Familiarity is the maximum logit (Vaze et al. 2022).

    Probes learn how frequent the classes of their examples are, `item_shares`; the others know nothing of it.
    """

    scorer: LinearScorer
    activation: Activation
    item_shares: Float64 | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        return self.scorer.labels

    @property
    def is_exclusive(self) -> bool:
        return self.activation.kind == "softmax"

    @property
    def training_priors(self) -> Float64:
        return uniform_priors(len(self.labels)) if self.item_shares is None else self.item_shares

    def ranks_at_once(self, inputs: int) -> bool:
        return inputs * self.scorer.weights.size <= MOST_PRODUCTS_AT_ONCE

    def scored(self, vectors: Float32) -> Scored:
        scores = self.scorer.scores(vectors)
        logits = self.activation.scale * scores + self.activation.bias
        cosines = self.scorer.cosines(scores)
        return Scored(self.labels, scores, self.activation(scores), cosines, maximum_logit(logits))

    def ranked(self, vectors: Float32, top_k: int | None) -> Sequence[Ranking]:
        return predict(self.scorer, self.activation, vectors, top_k)


@dataclass(frozen=True, eq=False)
class NeighbourModel:
    """The votes of the `k` nearest items. Familiarity is the cosine of the k-th (Sun et al. 2022)."""

    labels: tuple[str, ...]
    items: Float32  # [m, d], unit length
    item_classes: Int64  # [m]
    k: int

    @property
    def is_exclusive(self) -> bool:
        return True

    @property
    def training_priors(self) -> Float64:
        return class_shares(np.bincount(self.item_classes, minlength=len(self.labels)))

    def ranks_at_once(self, inputs: int) -> bool:  # noqa: ARG002
        return False

    def scored(self, vectors: Float32) -> Scored:
        neighbours = find_neighbours(vectors, self.items, min(self.k, len(self.items)))
        votes = neighbour_votes(neighbours, self.item_classes, len(self.labels))
        cosines = class_cosines(neighbours, self.item_classes, len(self.labels))
        return Scored(self.labels, votes, votes, cosines, kth_neighbour_cosine(neighbours))

    def ranked(self, vectors: Float32, top_k: int | None) -> Sequence[Ranking]:
        scored = self.scored(vectors)
        return ranked(self.labels, scored.scores, scored.probabilities, scored.cosines, top_k)


def class_shares(counts: Int64) -> Float64:
    """The share `float64 [c]` of each class of items, of `counts int64 [c]`."""
    shares: Float64 = counts / counts.sum()
    return shares


def uniform_priors(classes: int) -> Float64:
    """Priors `float64 [c]` of classes that were learned as equally frequent."""
    return np.full(classes, 1 / classes)
