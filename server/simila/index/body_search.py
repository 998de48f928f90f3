"""A body's neighbours: candidates from its codes, scored again by the stored vectors.

Three plans, by how many rows may be found (the survivors of a filter, of deletes and of exclusions):

- few: their stored vectors, all of them;
- more: a scan of their codes, by a FAISS selector;
- most: the search that was tuned, enlarged by the share that survives. Its candidates are the best of all rows, so the
  survivors among them are the best of the survivors. If they are too few, the filter is at odds with the query, whose
  neighbours may be anywhere, and the codes are scanned. (A selector inside an approximate search has no such test: it
  fills up with what survives near the places it happens to look at. Measured: recall 0.58 where this has 0.99.)
"""

from dataclasses import dataclass, replace

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
    lacking: int = 0  # rows it came upon that the store lacks: they were deleted, or replaced by newer ones


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
    group = max(1, _CANDIDATES_AT_ONCE // max(_candidates_wanted(body, k), body.recipe.scan_candidates))
    if len(queries) <= group:
        return _search_stored(body, queries, k, stored, mask)
    found = [
        _search_stored(body, queries[start : start + group], k, stored, mask) for start in range(0, len(queries), group)
    ]
    neighbours = Neighbours.of_all_queries([neighbours for neighbours, _ in found])
    most = max((search for _, search in found), key=lambda search: search.effort)
    return neighbours, replace(most, lacking=sum(search.lacking for _, search in found))


def _search_stored(
    body: Body, queries: Float32, k: int, stored: StoredVectors, mask: RowMask
) -> tuple[Neighbours, BodySearch]:
    wanted, lacking = _candidates_wanted(body, k), 0
    while mask.count > max(_FEW_ROWS, wanted):
        neighbours, search, gone = _search_codes(body, queries, k, stored, mask, wanted)
        if not len(gone) and neighbours.are_complete():
            return neighbours, replace(search, lacking=lacking) if lacking else search
        # Others would have been candidates in the place of those that are gone; where some are, more may be.
        mask, wanted = mask.without(gone), 2 * wanted
        lacking += len(gone)
    neighbours, more_lacking = exact_on(body, queries, k, stored, mask)
    return neighbours, BodySearch(f"exact on {mask.count} survivors", 0, mask.count, lacking + more_lacking)


def _search_codes(
    body: Body, queries: Float32, k: int, stored: StoredVectors, mask: RowMask, wanted: int
) -> tuple[Neighbours, BodySearch, Int64]:
    """As `search_body`, of `wanted` candidates; and the positions of those that the store lacks."""
    candidates, effort = _enlarged(body, wanted, mask)
    if _is_scanned(body, candidates, effort, mask):
        return _scanned(body, queries, k, stored, mask, wanted)
    positions, are_enough = _survivors(body.candidates(queries, candidates, effort), wanted, mask)
    neighbours, gone = _scored_again(body, queries, k, stored, positions)
    rest = np.flatnonzero(~are_enough)
    if not len(rest):
        plan = "search" if candidates == wanted else f"search enlarged {candidates / wanted:.1f}x"
        return neighbours, BodySearch(plan, effort, wanted), gone
    found, scan, gone_of_scan = _scanned(body, queries[rest], k, stored, mask, wanted)
    neighbours.scores[rest], neighbours.sequences[rest] = found.scores, found.sequences
    return neighbours, scan, np.union1d(gone, gone_of_scan)


def _scanned(
    body: Body, queries: Float32, k: int, stored: StoredVectors, mask: RowMask, wanted: int
) -> tuple[Neighbours, BodySearch, Int64]:
    """As `_search_codes`, from the codes of all rows in the mask."""
    candidates = min(max(wanted, body.recipe.scan_candidates), mask.count)
    positions = body.candidates_of_all(queries, candidates, mask)
    neighbours, gone = _scored_again(body, queries, k, stored, positions)
    return neighbours, BodySearch(f"scan of {mask.count} codes", 0, candidates), gone


def _candidates_wanted(body: Body, k: int) -> int:
    """The setting is for `MEASURED_DEPTH` neighbours: fewer are not found among fewer candidates."""
    return max(k, MEASURED_DEPTH) * body.setting.rerank_factor


def _enlarged(body: Body, wanted: int, mask: RowMask) -> tuple[int, int]:
    """How many candidates should have `wanted` in the mask among them, and the effort to find so many."""
    candidates = wanted if mask.count == mask.rows else round(_SPARE * wanted * mask.rows / mask.count)
    deeper = candidates / _candidates_wanted(body, MEASURED_DEPTH)
    effort = round(body.setting.effort * deeper**_EFFORT_BY_DEPTH)
    return candidates, max(effort, body.least_effort(candidates))


def _is_scanned(body: Body, candidates: int, effort: int, mask: RowMask) -> bool:
    few = mask.count * body.dimension <= _SCANNED_VALUES and mask.count <= _SCANNED_SHARE * mask.rows
    is_costly = mask.count < mask.rows and candidates * _CODES_PER_CANDIDATE > mask.count
    return few or is_costly or effort >= body.highest_effort


def _survivors(positions: Int64, wanted: int, mask: RowMask) -> tuple[Int64, NDArray[np.bool_]]:
    """The first `wanted` of each row of `int64 [q, n]` that are in the mask, then -1; and whether they are so many."""
    if mask.count == mask.rows:
        return positions, positions[:, wanted - 1] >= 0
    held = mask.holds(positions)
    first = np.argsort(~held, axis=1, kind="stable")[:, :wanted]
    kept = np.where(np.take_along_axis(held, first, axis=1), np.take_along_axis(positions, first, axis=1), -1)
    return kept, held.sum(axis=1) >= wanted


def _scored_again(
    body: Body, queries: Float32, k: int, stored: StoredVectors, positions: Int64
) -> tuple[Neighbours, Int64]:
    """The k best of the candidates `int64 [q, count]`, and the positions of those that the store lacks."""
    if positions.min() >= 0:
        sequences = body.sequences[positions]
        found, vectors = stored.vectors(sequences.ravel())
        if len(found) == sequences.size:
            scores = np.matmul(vectors.reshape(*sequences.shape, -1), queries[:, :, np.newaxis])[:, :, 0]
            return Neighbours.best([Neighbours(scores, sequences)], k), positions[:0, 0]
    return _scored_where_stored(body, queries, k, stored, positions)


def _scored_where_stored(
    body: Body, queries: Float32, k: int, stored: StoredVectors, positions: Int64
) -> tuple[Neighbours, Int64]:
    """As `_scored_again`, where -1 is no candidate, and candidates may be gone."""
    named = np.unique(positions[positions >= 0])
    named_sequences = body.sequences[named]
    found, vectors = stored.vectors(named_sequences)
    gone = named[:0] if len(found) == len(named) else named[~np.isin(named_sequences, found, assume_unique=True)]
    if not len(found):
        return Neighbours.none(len(queries), k), gone
    sequences = np.where(positions < 0, -1, body.sequences[positions])
    rows = np.minimum(np.searchsorted(found, sequences), len(found) - 1)
    there = found[rows] == sequences
    scores = np.matmul(vectors[rows], queries[:, :, np.newaxis])[:, :, 0]
    candidates = Neighbours(np.where(there, scores, np.float32(-np.inf)), np.where(there, sequences, np.int64(-1)))
    return Neighbours.best([candidates], k), gone
