"""A body's neighbours: candidates from its codes, scored again by the stored vectors.

Three plans, by how many rows may be found (the survivors of a filter, of deletes and of exclusions):

- few: their stored vectors, all of them;
- more: a scan of their codes, by a FAISS selector;
- most: the search that was tuned, enlarged by the share that survives. Its candidates are the best of all rows, so the
  survivors among them are the best of the survivors. If they are too few, the filter is at odds with the query: the
  search is enlarged once more, and if that costs as much as a scan, the scan is done. (A selector inside an approximate
  search has no such test: it fills up with what is near the places that it happened to look at.)
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simila.domain.vectors import Float32, Int64
from simila.index.body import Body
from simila.index.exact_search import exact_on
from simila.index.neighbours import Neighbours
from simila.index.recipes import MEASURED_DEPTH
from simila.index.row_mask import RowMask
from simila.index.stored_vectors import StoredVectors

# Reading so many vectors from the store takes about 3 ms.
_FEW_ROWS = 512
# So many values of codes are scanned in about 1 ms: quicker than to find out whether an enlarged search would do.
_SCANNED_VALUES = 8_000_000
_SCANNED_SHARE = 0.25
_SPARE = 1.5  # survivors are not spread evenly
_GROWTH = 8
# Neighbours ten times as far down the list need three times the effort (measured: recall is then kept, or rises).
_EFFORT_BY_DEPTH = 0.5
# A candidate of an enlarged search costs what so many codes do in a scan.
_CODES_PER_CANDIDATE = 64
_CANDIDATES_AT_ONCE = 16_384  # of all queries together: bounds the vectors in memory


@dataclass(frozen=True)
class BodySearch:
    """How a body was searched, for the query that took most."""

    plan: str
    effort: int  # efSearch or nprobe; 0 where every survivor was compared
    scored_again: int  # candidates whose stored vectors were read, for each query


@dataclass(frozen=True)
class _Attempt:
    candidates: int
    effort: int | None  # None for a scan of all codes in the mask

    def candidates_in(self, body: Body, queries: Float32, mask: RowMask) -> Int64:
        if self.effort is None:
            return body.candidates_of_all(queries, self.candidates, mask)
        return body.candidates(queries, self.candidates, self.effort)


def search_body(
    body: Body, queries: Float32, k: int, stored: StoredVectors, mask: RowMask
) -> tuple[Neighbours, BodySearch]:
    """Find the k nearest of the rows in the mask, or all of them that are stored if they are fewer.

    Args:
        body: what to search.
        queries: contiguous float32 [q, d], unit length, q at least 1.
        k: how many, at least 1.
        stored: has the vectors; rows that it lacks are passed over.
        mask: the rows that may be found.

    """
    group = max(1, _CANDIDATES_AT_ONCE // (k * body.setting.rerank_factor))
    found = [
        _search_stored(body, queries[start : start + group], k, stored, mask) for start in range(0, len(queries), group)
    ]
    neighbours = Neighbours.of_all_queries([neighbours for neighbours, _ in found])
    return neighbours, max((search for _, search in found), key=lambda search: search.effort)


def _search_stored(
    body: Body, queries: Float32, k: int, stored: StoredVectors, mask: RowMask
) -> tuple[Neighbours, BodySearch]:
    while mask.count > max(_FEW_ROWS, k * body.setting.rerank_factor):
        neighbours, search, gone = _search_codes(body, queries, k, stored, mask)
        if neighbours.fewest() == k:
            return neighbours, search
        if not len(gone):
            break
        mask = mask.without(gone)
    search = BodySearch(f"exact on {mask.count} survivors", 0, mask.count)
    return exact_on(body, queries, k, stored, mask), search


def _search_codes(
    body: Body, queries: Float32, k: int, stored: StoredVectors, mask: RowMask
) -> tuple[Neighbours, BodySearch, Int64]:
    """As `search_body`; and the positions of candidates that the store lacks."""
    wanted = k * body.setting.rerank_factor
    candidates = np.full((len(queries), wanted), -1, np.int64)
    waiting = np.arange(len(queries))
    for attempt in _attempts(body, wanted, mask):
        positions, are_enough = _survivors(attempt.candidates_in(body, queries[waiting], mask), wanted, mask)
        candidates[waiting] = positions
        waiting = waiting[~are_enough]
        if not len(waiting):
            break
    neighbours, gone = _scored_again(body, queries, k, stored, candidates)
    return neighbours, BodySearch(_plan(attempt, wanted, mask), attempt.effort or 0, wanted), gone


def _attempts(body: Body, wanted: int, mask: RowMask) -> Iterator[_Attempt]:
    share = mask.count / mask.rows
    scan_is_quick = mask.count * body.dimension <= _SCANNED_VALUES and share <= _SCANNED_SHARE
    candidates = wanted if share == 1 else round(_SPARE * wanted / share)
    most_candidates = 0 if scan_is_quick else max(wanted, mask.count // _CODES_PER_CANDIDATE)
    while candidates <= most_candidates:
        deeper = candidates / (MEASURED_DEPTH * body.setting.rerank_factor)
        effort = round(body.setting.effort * max(1, deeper) ** _EFFORT_BY_DEPTH)
        if effort >= body.highest_effort:
            break
        yield _Attempt(candidates, effort)
        candidates *= _GROWTH
    yield _Attempt(wanted, None)


def _survivors(positions: Int64, wanted: int, mask: RowMask) -> tuple[Int64, NDArray[np.bool_]]:
    """The first `wanted` of each row of `int64 [q, n]` that are in the mask, then -1; and whether they are so many."""
    held = mask.holds(positions)
    first = np.argsort(~held, axis=1, kind="stable")[:, :wanted]
    kept = np.where(np.take_along_axis(held, first, axis=1), np.take_along_axis(positions, first, axis=1), -1)
    return kept, held.sum(axis=1) >= wanted


def _plan(attempt: _Attempt, wanted: int, mask: RowMask) -> str:
    if attempt.effort is None:
        return f"scan of {mask.count} codes"
    return f"search enlarged {attempt.candidates / wanted:.0f}x" if attempt.candidates > wanted else "search"


def _scored_again(
    body: Body, queries: Float32, k: int, stored: StoredVectors, positions: Int64
) -> tuple[Neighbours, Int64]:
    """The k best of the candidates `int64 [q, count]`, and the positions of those that the store lacks."""
    named = np.unique(positions[positions >= 0])
    found, vectors = stored.vectors(body.sequences[named])
    gone = named[~np.isin(body.sequences[named], found, assume_unique=True)]
    if not len(found):
        return Neighbours.none(len(queries), k), gone
    sequences = np.where(positions < 0, -1, body.sequences[positions])
    rows = np.minimum(np.searchsorted(found, sequences), len(found) - 1)
    there = found[rows] == sequences
    scores = np.matmul(vectors[rows], queries[:, :, np.newaxis])[:, :, 0]
    candidates = Neighbours(np.where(there, scores, np.float32(-np.inf)), np.where(there, sequences, np.int64(-1)))
    return Neighbours.best([candidates], k), gone
