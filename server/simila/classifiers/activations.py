"""From scores to probabilities."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from simila.domain.vectors import Float32, Float64, Int64


def softmax(logits: Float64) -> Float64:
    """Probabilities over the classes of each row of `float64 [n, c]`."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Float64 = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities


def sigmoid(logits: Float64) -> Float64:
    """Independent probabilities: classes may all be likely, or none (SigLIP, Zhai et al. 2023)."""
    probabilities: Float64 = np.exp(-np.logaddexp(0.0, -logits))
    return probabilities


_FUNCTIONS: Mapping[str, Callable[[Float64], Float64]] = {"softmax": softmax, "sigmoid": sigmoid}


@dataclass(frozen=True)
class Activation:
    """`kind(scale * score + bias)`; with a positive scale the order of a row's classes stays what it was."""

    scale: float = 1.0
    bias: float = 0.0
    kind: Literal["softmax", "sigmoid"] = "softmax"

    def __call__(self, scores: Float64) -> Float64:
        """Probabilities `float64 [n, c]` of scores `float64 [n, c]`."""
        return _FUNCTIONS[self.kind](self.scale * scores + self.bias)

    def of_best(self, scores: Float64, columns: Int64, all_scores: Float32 | Float64) -> Float64:
        """Probabilities of the best `scores` `float64 [n, k]` alone, those of `columns` in `all_scores` `[n, c]`.

        The first of a row is its largest. All others count in a softmax, and as exactly as they are given.
        """
        if self.kind == "sigmoid":
            return self(scores)
        largest = scores[:, :1]
        best = np.exp(self.scale * (scores - largest))
        totals = best.sum(axis=1)
        for row, all_of_row in enumerate(all_scores):  # one by one they stay in the cache
            others = np.exp(self.scale * (all_of_row - largest[row].astype(all_of_row.dtype)))
            others[columns[row]] = 0
            totals[row] += others.sum(dtype=np.float64)
        probabilities: Float64 = best / totals[:, np.newaxis]
        return probabilities
