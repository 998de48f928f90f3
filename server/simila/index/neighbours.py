"""The answer to a search, and how answers of several parts become one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from simila.domain.vectors import Float32, Int64

NO_SEQUENCE = -1


@dataclass(frozen=True)
class Neighbours:
    """The nearest rows of each query: the highest cosine first, equal cosines by the lower sequence.

    Where fewer than k exist, a row ends in cosines of -inf and sequences of -1. Rounding may take the inner product of
    unit vectors a little past 1.
    """

    scores: Float32  # [q, k]
    sequences: Int64  # [q, k]

    @classmethod
    def none(cls, queries: int, k: int) -> Self:
        return cls(np.full((queries, k), -np.inf, np.float32), np.full((queries, k), NO_SEQUENCE, np.int64))

    @classmethod
    def best(cls, parts: Sequence["Neighbours"], k: int) -> Self:
        """The k best of all parts, which name no row twice for the same query; there is at least one part."""
        scores, sequences = parts[0].scores, parts[0].sequences
        if len(parts) > 1:
            scores = np.concatenate([part.scores for part in parts], axis=1)
            sequences = np.concatenate([part.sequences for part in parts], axis=1)
        order = np.lexsort((sequences, -scores), axis=-1)[:, :k]
        rows = np.arange(len(order))[:, np.newaxis]
        found = cls(scores[rows, order], sequences[rows, order])
        missing = k - found.scores.shape[1]
        if missing <= 0:
            return found
        rest = cls.none(len(scores), missing)
        return cls(np.hstack([found.scores, rest.scores]), np.hstack([found.sequences, rest.sequences]))

    @classmethod
    def of_all_queries(cls, parts: Sequence["Neighbours"]) -> Self:
        """One answer of parts that have other queries each, and the same k."""
        return cls(np.concatenate([part.scores for part in parts]), np.concatenate([part.sequences for part in parts]))

    def are_complete(self) -> bool:
        """Whether each query has all k, which are 1 at least."""
        return bool((self.sequences[:, -1] >= 0).all())
