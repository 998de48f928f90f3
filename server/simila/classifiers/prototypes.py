"""Sources of class prototypes: prompts, the means of labelled vectors, and vectors that the caller gives."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simila.classifiers.labels import check_labels, class_positions
from simila.domain.errors import InvalidInput, InvalidVector
from simila.domain.vectors import SMALLEST_NORM, Float32, Float64, Int64, given_vector, unit_rows

PLACEHOLDER = "{}"


@dataclass(frozen=True, eq=False)
class Prototypes:
    """One vector a class: `[c, d]`, float32 of prompts and float64 of means.

    Class means keep their length: it is part of the distance to them. All others are unit length.
    """

    labels: tuple[str, ...]
    vectors: Float32 | Float64


def prompts(label: str, templates: Sequence[str]) -> list[str]:
    return [template.replace(PLACEHOLDER, label) for template in templates]


def prompt_prototype(prompt_vectors: Float32) -> Float32:
    """Average the unit vectors of one label's prompts `float32 [templates, d]` to `float32 [d], unit length`.

    Prompt ensembling, Radford et al. 2021 (CLIP), section 3.1.4.
    """
    prototype: Float32 = unit_rows(prompt_vectors.mean(axis=0, keepdims=True))[0]
    return prototype


def class_means(vectors: Float32, labels: Sequence[str]) -> Prototypes:
    """Average the vectors `float32 [n, d]` of each class, in float64; classes in alphabetical order."""
    classes, positions = class_positions(labels)
    counts = np.bincount(positions, minlength=len(classes))
    return Prototypes(classes, class_totals(vectors, positions, len(classes)) / counts[:, np.newaxis])


def class_totals(vectors: Float32 | Float64, item_classes: Int64, classes: int) -> Float64:
    """The sum `float64 [c, d]` of the vectors `[n, d]` of each class `int64 [n]`; 0 where a class has none."""
    totals = np.zeros((classes, vectors.shape[1]))
    by_class = np.argsort(item_classes, kind="stable")
    present, starts = np.unique(item_classes[by_class], return_index=True)
    if present.size:
        totals[present] = np.add.reduceat(vectors[by_class], starts, axis=0, dtype=np.float64)
    return totals


def moved_prototypes(prototypes: Prototypes, towards: Float32 | Float64, weight: float) -> Prototypes:
    """Directions `float64 [c, d]` of unit prototypes plus `weight` times those of `[c, d]`; a row of 0 moves none."""
    anchors = prototypes.vectors.astype(np.float64)
    return Prototypes(prototypes.labels, _directions(anchors + weight * _directions(towards.astype(np.float64))))


def given_prototypes(labels: Sequence[str], vectors: Sequence[Sequence[float]], dimension: int) -> Prototypes:
    """A caller's own prototypes, one vector a label, so that any encoder can be used: `float32 [c, d], unit length`.

    Raises:
        InvalidLabels: see `check_labels`.
        InvalidInput: there are more or fewer vectors than labels.
        InvalidVector: see `given_vector`; the message names which.

    """
    check_labels(labels)
    if len(vectors) != len(labels):
        raise InvalidInput(f"{len(labels)} labels and {len(vectors)} vectors; each label needs one", param="vectors")
    rows = []
    for position, values in enumerate(vectors):
        name = f"vectors[{position}]"
        try:
            rows.append(given_vector(values, dimension))
        except InvalidVector as error:
            raise InvalidVector(f"{name}: {error.message}", param=name) from error
    return Prototypes(tuple(labels), np.stack(rows))


def _directions(rows: Float64) -> Float64:
    directions: Float64 = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), SMALLEST_NORM)
    return directions
