"""What a search of a collection found, and how."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from simila.domain.results import Hit
from simila.domain.vectors import Float32
from simila.index.filtered_search import FilterAccount
from simila.index.view import SearchAccount
from simila.storage.item_rows import ItemRow


@dataclass(frozen=True)
class SearchResult:
    """The hits of each query, the nearest first, of equals the oldest; and how they were found.

    Everything up to the sequence `newest` could be found, and perhaps what came while it was searched.
    """

    hits: Sequence[Sequence[Hit]]
    account: SearchAccount
    filter_account: FilterAccount | None
    newest: int


def hits_of(sequences: Sequence[Sequence[int]], scores: Float32, rows: Mapping[int, ItemRow]) -> list[list[Hit]]:
    """The hits of each query, whose `float32 [q, k]` scores go with its sequences; one without a row is none."""
    # Rounding takes the inner product of unit vectors past 1, a cosine never is.
    cosines = scores.clip(-1, 1).tolist()
    return [
        [
            Hit(row.id, cosine, row.label, row.payload_json, sequence)
            for sequence, cosine in zip(found, cosines_found, strict=True)
            if (row := rows.get(sequence))
        ]
        for found, cosines_found in zip(sequences, cosines, strict=True)
    ]
