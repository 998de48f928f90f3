"""Neighbours among the items that match a filter: candidates first, or the filter first, whichever is quicker."""

import math
from collections import OrderedDict
from collections.abc import Callable
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
# To look at so many rows that came since takes about as long as a filter on all takes with an index.
_MOST_NEWER_ROWS = 4096


@dataclass(frozen=True)
class FilterAccount:
    """How a filter was applied. `share` of the items is estimated to match."""

    plan: str
    share: float


class FilteredSearch:
    """Searches the items that match; it finds as many as there are, up to k. Thread-safe.

    The store may be ahead of the view: a row that is replaced there is gone from the one and not yet in the other. So
    rows of the view that the store lacks count as matching. The caller finds that they are gone, and searches again.
    A row never changes, so what matched is kept, and only rows that came since are looked at.
    """

    def __init__(self, reader: ItemReader, *, view: Callable[[], View], catch_up: Callable[[], None]) -> None:
        """`view` gives the newest; `catch_up` returns when it has seen all that was committed before the call."""
        self._reader = reader
        self._view = view
        self._catch_up = catch_up
        self._shares: OrderedDict[Where, tuple[int, float]] = OrderedDict()
        self._matches: OrderedDict[Where, _Matches] = OrderedDict()

    def search(
        self, queries: Float32, k: int, where: Where, *, after: int, excluded: Int64, exact: bool
    ) -> tuple[View, Neighbours, SearchAccount, FilterAccount]:
        """As `View.search`, among the items past the sequence `after` that match; and the view that was searched."""
        share = self._share(where)
        candidates = math.ceil(_SPARE * k / share)
        while not after and share >= _LEAST_SHARE and candidates <= _MOST_CANDIDATES:
            view = self._view()
            found, account = view.search(queries, candidates, self._reader, excluded=excluded, exact=exact)
            rejected = self._rejected(np.unique(found.sequences[found.sequences >= 0]), where)
            neighbours = _without(found, rejected, k)
            if neighbours.are_complete() or candidates >= len(view):
                return view, neighbours, account, FilterAccount(f"filter on {candidates} candidates", share)
            candidates *= _GROWTH
        view, matching = self._matching(where)
        allowed = matching[np.searchsorted(matching, after, side="right") :]
        neighbours, account = view.search(queries, k, self._reader, allowed=allowed, excluded=excluded, exact=exact)
        return view, neighbours, account, FilterAccount(f"search among the {len(allowed)} that match", share)

    def _share(self, where: Where) -> float:
        """The share of the items that match, estimated, more than 0 and at most 1."""
        rows = len(self._view())
        known = self._shares.get(where)
        if known is None or rows > 2 * known[0]:
            known = rows, self._estimated_share(where)
            _keep(self._shares, where, known, _ESTIMATES_KEPT)
        return known[1]

    def _estimated_share(self, where: Where) -> float:
        sequences = self._view().sequences()
        size = min(_SAMPLE_ROWS, len(sequences))
        sample = np.sort(np.random.default_rng(_SEED).choice(sequences, size, replace=False))
        return (len(self._reader.matching_among(sample, where)) + 1) / (size + 1)

    def _matching(self, where: Where) -> tuple[View, Int64]:
        """A view, and the sequences of all its rows that match, ascending."""
        known = self._matches.get(where)
        view = self._view()  # after what is known, or it might hold rows that were gone when the others were looked at
        if known is None or known.is_overtaken(view):
            known = self._all_matching(where)
            view = self._view()
        newer = view.sequences(after=known.last_sequence)
        if len(newer):
            came = np.setdiff1d(newer, self._rejected(newer, where), assume_unique=True)
            known = _Matches(int(newer[-1]), np.union1d(known.sequences, came))
        _keep(self._matches, where, known, _MATCHES_KEPT)
        return view, known.sequences

    def _all_matching(self, where: Where) -> "_Matches":
        """What the store holds; the views from now on lack nothing of it but what came in between."""
        last_sequence = self._reader.last_sequence()
        sequences = self._reader.matching(where)
        if not len(self._view().sequences(after=self._reader.last_sequence() - 1)):
            self._catch_up()
        return _Matches(last_sequence, sequences)

    def _rejected(self, sequences: Int64, where: Where) -> Int64:
        """Those of `int64 [n]` whose items are stored and do not match."""
        return self._reader.matching_among(sequences, Where(f"({where.sql}) IS NOT TRUE", where.parameters))


@dataclass(frozen=True)
class _Matches:
    """The rows up to `last_sequence`, and some after, that match; some of them may have gone since."""

    last_sequence: int
    sequences: Int64  # [n], ascending

    def is_overtaken(self, view: View) -> bool:
        """Whether so much was written since that it is quicker to begin anew."""
        many_gone = len(self.sequences) > 2 * len(view) + _MOST_NEWER_ROWS
        return many_gone or len(view.sequences(after=self.last_sequence)) > _MOST_NEWER_ROWS


def _without(found: Neighbours, sequences: Int64, k: int) -> Neighbours:
    left = ~np.isin(found.sequences, sequences)
    scores, kept = np.where(left, found.scores, np.float32(-np.inf)), np.where(left, found.sequences, np.int64(-1))
    return Neighbours.best([Neighbours(scores, kept)], k)


def _keep(kept: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    kept[key] = value
    while len(kept) > most:
        kept.popitem(last=False)
