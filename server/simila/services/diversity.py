"""Results that are like the query, and not all like each other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simila.domain.vectors import Float32


@dataclass(frozen=True)
class Diversity:
    """`relevance` 1 ranks by likeness to the query alone, 0 by unlikeness to what was chosen before.

    The results are chosen among the nearest `candidates`; None for four times as many as are wanted.
    """

    relevance: float
    candidates: int | None = None


def diverse(vectors: Float32, scores: Sequence[float], count: int, relevance: float) -> list[int]:
    """The rows of `float32 [n, d], unit length` that maximal marginal relevance chooses, in its order, at most `count`.

    Next comes the row that has the highest relevance x its score - (1 - relevance) x its cosine to the most similar
    row chosen before (Carbonell and Goldstein 1998); of equals, the first.
    """
    values = relevance * np.asarray(scores, np.float64)
    nearest_chosen = np.full(len(vectors), -np.inf)
    chosen: list[int] = []
    for _ in range(min(count, len(vectors))):
        # Of the first, nothing was chosen before: its relevance alone counts.
        marginal = values - (1 - relevance) * nearest_chosen if chosen else np.asarray(scores, np.float64).copy()
        marginal[chosen] = -np.inf
        row = int(marginal.argmax())
        chosen.append(row)
        nearest_chosen = np.maximum(nearest_chosen, vectors @ vectors[row])
    return chosen
