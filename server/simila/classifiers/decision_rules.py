"""Decision rules: from vectors and prototypes to ranked predictions."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from simila.classifiers.prototypes import Prototypes
from simila.domain.manifest import ZeroShot
from simila.domain.results import Prediction
from simila.domain.vectors import SMALLEST_NORM, Float32, Float64

# The precision of the isotropic Gaussian around each class mean. Held-out photographs were most likely between 20 and
# 60, for both EfficientNets at 2 to 40 examples a class. It sharpens the probabilities and never changes their order.
NEAREST_MEAN_PRECISION = 40.0


def softmax(logits: Float64) -> Float64:
    """Probabilities over the classes of each row of `float64 [n, c]`."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Float64 = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities


def sigmoid(logits: Float64) -> Float64:
    """Independent probabilities: classes may all be likely, or none (SigLIP, Zhai et al. 2023)."""
    probabilities: Float64 = np.exp(-np.logaddexp(0.0, -logits))
    return probabilities


ACTIVATIONS: Mapping[str, Callable[[Float64], Float64]] = {"softmax": softmax, "sigmoid": sigmoid}


def zero_shot(vectors: Float32, prototypes: Prototypes, rule: ZeroShot) -> tuple[Float64, Float64]:
    """Probabilities and cosines, both `float64 [n, c]`, by the encoder's own scale, bias and activation."""
    cosines = vectors.astype(np.float64) @ prototypes.vectors.T
    return ACTIVATIONS[rule.activation](rule.scale * cosines + rule.bias), cosines


def nearest_mean(vectors: Float32, prototypes: Prototypes) -> tuple[Float64, Float64]:
    """Probabilities and cosines, both `float64 [n, c]`; the most probable class is that of the nearest mean.

    The distance is Euclidean (nearest mean classifier, Janson et al. 2022). For unit vectors x its square is
    1 + |m|^2 - 2 x.m, and classes of equal prior under a Gaussian around each mean have the posterior
    softmax(precision * (x.m - |m|^2 / 2)).
    """
    means = prototypes.vectors
    products = vectors.astype(np.float64) @ means.T
    squared_lengths = np.einsum("cd,cd->c", means, means)
    cosines = products / np.maximum(np.sqrt(squared_lengths), SMALLEST_NORM)
    return softmax(NEAREST_MEAN_PRECISION * (products - squared_lengths / 2)), cosines


def ranked(
    labels: Sequence[str], probabilities: Float64, cosines: Float64, top_k: int | None
) -> list[list[Prediction]]:
    """The `top_k` (or all) classes of each row, most probable first; equal ones by cosine, then in `labels`' order."""
    # A sigmoid is exactly 1 above logits of 37, where cosines still tell classes apart.
    order = np.lexsort((-cosines, -probabilities), axis=1)[:, :top_k]
    return [
        [Prediction(labels[c], float(row_probabilities[c]), float(row_cosines[c])) for c in row_order]
        for row_order, row_probabilities, row_cosines in zip(order, probabilities, cosines, strict=True)
    ]
