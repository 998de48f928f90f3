"""Sources of class prototypes: prompts, and the means of labelled vectors."""

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


def class_means(vectors: Float32, labels: Sequence[str]) -> Prototypes:
    """Average the vectors `float32 [n, d]` of each class, in float64; classes in alphabetical order."""
    names, classes = np.unique(np.asarray(labels, dtype=object), return_inverse=True)
    sums = np.zeros((len(names), vectors.shape[1]), dtype=np.float64)
    np.add.at(sums, classes, vectors)
    counts = np.bincount(classes, minlength=len(names))
    return Prototypes(tuple(names.tolist()), sums / counts[:, None])
