"""Neighbours among the items that match a filter: candidates first, or the filter first, whichever is quicker."""

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from simila.domain.vectors import Float32, Int64
from simila.index.neighbours import Neighbours
from simila.index.view import SearchAccount, View
from simila.storage.item_reader import ItemReader
from simila.storage.where import Where

K = TypeVar("K")
V = TypeVar("V")

# The share of the items that match is estimated on so many.
_SAMPLE_ROWS = 1024
_SEED = 6
# Candidates of a search without the filter are many where few match: then all that match are looked up first.
_LEAST_SHARE = 0.03
_MOST_CANDIDATES = 4096
_SPARE = 1.5
_GROWTH = 4
_ESTIMATES_KEPT = 256
_MATCHES_KEPT = 8


@dataclass(frozen=True)
class FilterAccount:
    """How a filter was applied. `share` of the items is estimated to match."""

    plan: str
    share: float


class FilteredSearch:
    """Searches the items that match; it finds as many as there are, up to k.

    What a filter matches is kept until the next write, for the filters that were asked for last. Thread-safe.
    """

    def __init__(self, reader: ItemReader) -> None:
        self._reader = reader
        self._shares: OrderedDict[Where, tuple[int, float]] = OrderedDict()
        self._matches: OrderedDict[Where, tuple[int, Int64]] = OrderedDict()

    def search(
        self, view: View, version: int, queries: Float32, k: int, where: Where, *, excluded: Int64, exact: bool
    ) -> tuple[Neighbours, SearchAccount, FilterAccount]:
        """As `View.search`, among the items that match. `version` grows with each write that the view has seen."""
        share = self._share(where)
        candidates = math.ceil(_SPARE * k / share)
        while share >= _LEAST_SHARE and candidates <= _MOST_CANDIDATES:
            found, account = view.search(queries, candidates, self._reader, excluded=excluded, exact=exact)
            matching = self._reader.matching_among(np.unique(found.sequences[found.sequences >= 0]), where)
            neighbours = _among(found, matching, k)
            if neighbours.fewest() == k or candidates >= len(view):
                return neighbours, account, FilterAccount(f"filter on {candidates} candidates", share)
            candidates *= _GROWTH
        allowed = self._matching(version, where)
        neighbours, account = view.search(queries, k, self._reader, allowed=allowed, excluded=excluded, exact=exact)
        return neighbours, account, FilterAccount(f"search among the {len(allowed)} that match", share)

    def _share(self, where: Where) -> float:
        """The share of the items that match, estimated, more than 0 and at most 1."""
        newest = self._reader.last_sequence()
        known = self._shares.get(where)
        if known is None or newest > 2 * known[0]:
            known = newest, self._estimated_share(newest, where)
            _keep(self._shares, where, known, _ESTIMATES_KEPT)
        return known[1]

    def _estimated_share(self, newest: int, where: Where) -> float:
        size = min(_SAMPLE_ROWS, newest)
        sample = np.sort(np.random.default_rng(_SEED).choice(newest, size, replace=False)) + 1
        rows = len(self._reader.matching_among(sample, Where("1")))
        return (len(self._reader.matching_among(sample, where)) + 1) / (rows + 1)

    def _matching(self, version: int, where: Where) -> Int64:
        known = self._matches.get(where)
        if known is None or known[0] != version:
            known = version, self._reader.matching(where)
            _keep(self._matches, where, known, _MATCHES_KEPT)
        return known[1]


def _among(found: Neighbours, sequences: Int64, k: int) -> Neighbours:
    held = np.isin(found.sequences, sequences)
    scores, kept = np.where(held, found.scores, np.float32(-np.inf)), np.where(held, found.sequences, np.int64(-1))
    return Neighbours.best([Neighbours(scores, kept)], k)


def _keep(kept: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    kept[key] = value
    while len(kept) > most:
        kept.popitem(last=False)
