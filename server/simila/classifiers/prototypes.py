"""Sources of class prototypes: prompts, and the means of labelled vectors."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simila.domain.vectors import Float32, Float64, unit_rows

PLACEHOLDER = "{}"


@dataclass(frozen=True)
class Prototypes:
    """One vector a class: `float64 [c, d]`. Class means keep their length: it is part of the distance to them."""

    labels: tuple[str, ...]
    vectors: Float64


def prompts(label: str, templates: Sequence[str]) -> list[str]:
    return [template.replace(PLACEHOLDER, label) for template in templates]


def prompt_prototype(prompt_vectors: Float32) -> Float32:
    """Average the unit vectors of one label's prompts `float32 [templates, d]` to `float32 [d], unit length`.

    Prompt ensembling, Radford et al. 2021 (CLIP), section 3.1.4.
    """
    prototype: Float32 = unit_rows(prompt_vectors.mean(axis=0, keepdims=True))[0]
    return prototype


class ClassSums:
    """The sum of the vectors of each class, in float64, and how many they are."""

    def __init__(self, dimension: int) -> None:
        self._sums: dict[str, Float64] = {}
        self._counts: Counter[str] = Counter()
        self._dimension = dimension

    def add(self, vectors: Float32, labels: Sequence[str | None]) -> None:
        """Count `float32 [n, d]` to their classes; those without a label belong to none."""
        rows_of: dict[str, list[int]] = defaultdict(list)
        for row, label in enumerate(labels):
            if label is not None:
                rows_of[label].append(row)
        for label, rows in rows_of.items():
            total = self._sums.setdefault(label, np.zeros(self._dimension))
            total += vectors[rows].sum(axis=0, dtype=np.float64)
            self._counts[label] += len(rows)

    def means(self) -> Prototypes:
        """The mean of each class, classes in alphabetical order."""
        labels = tuple(sorted(self._sums))
        means = [self._sums[label] / self._counts[label] for label in labels]
        return Prototypes(labels, np.array(means).reshape(-1, self._dimension))


def class_means(vectors: Float32, labels: Sequence[str]) -> Prototypes:
    """Average the vectors `float32 [n, d]` of each class, in float64; classes in alphabetical order."""
    sums = ClassSums(vectors.shape[1])
    sums.add(vectors, labels)
    return sums.means()
