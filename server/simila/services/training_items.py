"""The items of a collection that a classifier learns from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from simila.domain.errors import NoExamples
from simila.domain.vectors import Float32, Int64
from simila.index.collection import Collection

_ROWS_AT_A_TIME = 8192


@dataclass(frozen=True, eq=False)
class TrainingItems:
    """Items as they were at one moment; those without a label have None."""

    sequences: Int64  # [n], ascending
    vectors: Float32  # [n, d], unit length
    labels: Sequence[str | None]


def read_items(
    collection: Collection, sequences: Int64, *, only_labelled: bool, report: Callable[[int], None]
) -> TrainingItems:
    """Read the items of sequences `int64 [n]` that are still there, and `report` how many were looked at.

    Raises:
        NoExamples: none is left.

    """
    parts: list[tuple[Int64, Float32]] = []
    labels: list[str | None] = []
    with collection.reader.snapshot() as reader:
        for start in range(0, sequences.size, _ROWS_AT_A_TIME):
            found, vectors = reader.vectors(sequences[start : start + _ROWS_AT_A_TIME])
            rows = reader.by_sequence(found)
            label_of = {sequence: row.label for sequence, row in rows.items() if row.label or not only_labelled}
            kept = np.array([sequence in label_of for sequence in found.tolist()], dtype=np.bool_)
            parts.append((found[kept], vectors[kept]))
            labels += [label_of[sequence] for sequence in found[kept].tolist()]
            report(start + found.size)
    if not labels:
        message = f"collection {collection.spec.name} has no items to learn classes from any more"
        raise NoExamples(message, param="collection")
    return TrainingItems(
        np.concatenate([found for found, _ in parts]), np.concatenate([vectors for _, vectors in parts]), labels
    )
