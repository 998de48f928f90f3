"""Inputs of no known class: what is less like the classes than nearly all of their own items is rejected."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simila.classifiers.nearest_neighbours import Neighbours
from simila.domain.errors import InvalidInput
from simila.domain.vectors import Float64


@dataclass(frozen=True, eq=False)
class Rejection:
    """How well known each input is (`familiarity float64 [n]`), and whether that is below the threshold."""

    familiarity: Float64
    rejected: NDArray[np.bool_]


def maximum_logit(scores: Float64) -> Float64:
    """The best class's score `float64 [n]`: before the softmax, which forgets how high it was (Vaze et al. 2022)."""
    best: Float64 = scores.max(axis=1)
    return best


def kth_neighbour_cosine(neighbours: Neighbours) -> Float64:
    """The cosine of the k-th neighbour `float64 [n]`, by its distance (Sun et al. 2022); -inf without one."""
    cosines: Float64 = neighbours.cosines[:, -1]
    return cosines


def rejection_threshold(known_familiarity: Float64, false_rejection_rate: float) -> float:
    """The threshold below which inputs of known classes fall no more often than `false_rejection_rate`.

    `known_familiarity float64 [n]` is of held-out items of the classes. A new item is as likely to take any of n + 1
    ranks among them, so it is below the m-th smallest with a chance of at most m / (n + 1), for any n and any
    distribution (split conformal prediction, Vovk et al. 2005). With m = floor(rate (n + 1)) = 0 nothing can be
    promised and nothing is rejected: the threshold is -inf.

    Raises:
        InvalidInput: the rate is not within 0 and 1, excluding 1, or a familiarity is no number.

    """
    if not 0 <= false_rejection_rate < 1:
        message = f"false_rejection_rate is {false_rejection_rate}; it must be at least 0 and below 1"
        raise InvalidInput(message, param="false_rejection_rate")
    if np.isnan(known_familiarity).any():
        raise InvalidInput("a familiarity is no number")
    # A product that rounding left just below a whole number would give away a rank.
    rank = int(np.floor(false_rejection_rate * (len(known_familiarity) + 1) + 1e-9))
    return float(np.partition(known_familiarity, rank - 1)[rank - 1]) if rank else -np.inf


def reject(familiarity: Float64, threshold: float) -> Rejection:
    """Reject what is below the threshold of `rejection_threshold`."""
    return Rejection(familiarity, familiarity < threshold)
