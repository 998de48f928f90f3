"""What a precision changes for those who use vectors: neighbours, and classes by their nearest mean."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simila.domain.vectors import Float32, Int64

NEIGHBOURS = 10
NEAREST_MEAN_FLOOR = 0.95
RETRIEVAL_FLOOR = 0.85


@dataclass(frozen=True)
class TaskCheck:
    """Agreement of a precision with fp32 on labelled inputs.

    `nearest_mean` is the share of inputs that are given the same class, `retrieval` the mean share of the ten nearest
    other inputs that are the same ten.
    """

    nearest_mean: float
    retrieval: float
    inputs: int

    @property
    def holds(self) -> bool:
        return self.nearest_mean >= NEAREST_MEAN_FLOOR and self.retrieval >= RETRIEVAL_FLOOR

    def __str__(self) -> str:
        return (
            f"nearest mean agrees on {self.nearest_mean:.1%} of {self.inputs} inputs (floor {NEAREST_MEAN_FLOOR:.0%}),"
            f" the {NEIGHBOURS} nearest on {self.retrieval:.1%} (floor {RETRIEVAL_FLOOR:.0%})"
        )


def check_task(reference: Float32, other: Float32, labels: Sequence[str]) -> TaskCheck:
    """Compare vectors `float32 [n, d], unit length` of the same inputs in two precisions.

    Each precision is used for itself: class means, queries and items are all its own, as in a collection of its own.
    """
    classes = np.unique(labels, return_inverse=True)[1]
    same_class = _nearest_mean(reference, classes) == _nearest_mean(other, classes)
    shared = [
        len(set(one) & set(two)) / len(one) for one, two in zip(_nearest(reference), _nearest(other), strict=True)
    ]
    return TaskCheck(float(same_class.mean()), float(np.mean(shared)), len(labels))


def _nearest_mean(vectors: Float32, classes: Int64) -> Int64:
    """The class of the nearest mean of the *other* inputs, for each: leave-one-out."""
    member = np.eye(classes.max() + 1, dtype=np.float64)[classes]  # [n, classes]
    sums, counts = member.T @ vectors, member.sum(0)
    nearest = np.empty(len(vectors), dtype=np.int64)
    for position, vector in enumerate(vectors.astype(np.float64)):
        own = classes[position]
        others, left = sums.copy(), counts.copy()
        others[own] -= vector
        left[own] -= 1
        means = others / np.maximum(left, 1)[:, None]
        nearest[position] = np.argmin(((means - vector) ** 2).sum(1))
    return nearest


def _nearest(vectors: Float32) -> list[list[int]]:
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    kept = min(NEIGHBOURS, len(vectors) - 1)
    nearest: list[list[int]] = np.argsort(-cosines, axis=1, kind="stable")[:, :kept].tolist()
    return nearest
