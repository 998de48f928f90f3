"""Scores that are linear in a vector: cosines to prototypes, distances to means, and trained probes alike."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from simila.classifiers.activations import Activation
from simila.classifiers.coded_weights import CodedWeights, coded_weights
from simila.classifiers.prototypes import Prototypes
from simila.domain.vectors import SMALLEST_NORM, Float32, Float64, Int64

# The precision of the isotropic Gaussian around each class mean. Held-out photographs were most likely between 20 and
# 60, for both EfficientNets at 2 to 40 examples a class. It sharpens the probabilities and never changes their order.
NEAREST_MEAN_PRECISION = 40.0
NEAREST_MEAN_ACTIVATION = Activation(scale=NEAREST_MEAN_PRECISION)

_CLASSES_A_BLOCK = 4096  # bounds what float32 weights take as float64
_ALL = slice(None)


@dataclass(frozen=True, eq=False)
class LinearScorer:
    """A vector's score for a class is `weights . vector + bias`; weights are kept in the precision they came in."""

    labels: tuple[str, ...]
    weights: Float32 | Float64  # [c, d]
    biases: Float64  # [c]

    def scores(self, vectors: Float32) -> Float64:
        """Scores `float64 [n, c]` of `float32 [n, d]`, computed in float64."""
        rows = vectors.astype(np.float64)
        scores = np.empty((len(rows), len(self.labels)))
        for start in range(0, len(self.labels), _CLASSES_A_BLOCK):
            block = slice(start, start + _CLASSES_A_BLOCK)
            scores[:, block] = rows @ self.weights[block].astype(np.float64, copy=False).T + self.biases[block]
        return scores

    def cosines(self, scores: Float64, columns: Int64 | slice = _ALL) -> Float64:
        """The cosines of unit vectors and weights, of their scores `float64 [n, k]`; 0 where a weight has no length.

        `columns` `int64 [n, k]` are the classes of the scores; without them, these are of all.
        """
        cosines: Float64 = (scores - self.biases[columns]) / np.maximum(self.lengths[columns], SMALLEST_NORM)
        return cosines

    @cached_property
    def lengths(self) -> Float64:
        """The Euclidean length `float64 [c]` of each class's weights."""
        lengths: Float64 = np.sqrt(np.einsum("cd,cd->c", self.weights, self.weights, dtype=np.float64))
        return lengths

    @cached_property
    def largest_length(self) -> float:
        return float(self.lengths.max(initial=0.0))

    @cached_property
    def largest_bias(self) -> float:
        """The largest bias without its sign."""
        return float(np.abs(self.biases).max(initial=0.0))

    @cached_property
    def float32_weights(self) -> Float32:
        """The weights `float32 [c, d]`: themselves where they are float32 already; of no use past its range."""
        return self.weights.astype(np.float32, copy=False)

    @cached_property
    def coded_weights(self) -> CodedWeights:
        return coded_weights(self.weights)

    @cached_property
    def float32_biases(self) -> Float32:
        return self.biases.astype(np.float32)


def cosine_scorer(prototypes: Prototypes) -> LinearScorer:
    """Score by the cosine of unit vectors to unit prototypes, as zero-shot does (Radford et al. 2021)."""
    return LinearScorer(prototypes.labels, prototypes.vectors, np.zeros(len(prototypes.labels)))


def nearest_mean_scorer(means: Prototypes) -> LinearScorer:
    """Score highest the class of the nearest mean (nearest mean classifier, Janson et al. 2022).

    The distance is Euclidean. For unit vectors x its square is 1 + |m|^2 - 2 x.m, so classes of equal prior under a
    Gaussian around each mean have the posterior softmax(precision * (x.m - |m|^2 / 2)).
    """
    vectors = means.vectors.astype(np.float64, copy=False)
    return LinearScorer(means.labels, vectors, -np.einsum("cd,cd->c", vectors, vectors) / 2)
