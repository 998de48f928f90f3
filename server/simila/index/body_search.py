"""A body's neighbours: candidates from its codes, scored again by the stored vectors."""

from dataclasses import dataclass

import numpy as np

from simila.domain.vectors import Float32, Int64
from simila.index.body import Body
from simila.index.exact import nearest
from simila.index.neighbours import Neighbours
from simila.index.recipes import MEASURED_DEPTH
from simila.index.row_mask import RowMask
from simila.index.stored_vectors import StoredVectors

# Reading this many vectors from the store costs what a search does.
_FEW_ROWS = 512
# One query's codes in a scan of this many rows take as long as a much enlarged search, and find nearly all.
_SCANNED_ROWS = 50_000
_EXACT_CHUNK_ROWS = 8_192
_CANDIDATES_AT_ONCE = 16_384  # of all queries together: bounds the vectors in memory


@dataclass(frozen=True)
class BodySearch:
    """How a body was searched."""

    plan: str
    effort: int
    candidates: int  # scored again, for each query


def search_body(
    body: Body, queries: Float32, k: int, stored: StoredVectors, mask: RowMask
) -> tuple[Neighbours, BodySearch]:
    """Find the k nearest of the rows in the mask, or all of them that are stored if they are fewer.

    Args:
        body: what to search.
        queries: contiguous float32 [q, d], unit length.
        k: how many, at least 1.
        stored: has the vectors; rows that it lacks are passed over.
        mask: the rows that may be found.

    """
    if mask.count <= _FEW_ROWS:
        return exact_on(body, queries, k, stored, mask), BodySearch(f"exact on {mask.count} survivors", 0, mask.count)
    groups = max(1, _CANDIDATES_AT_ONCE // (k * body.setting.rerank_factor))
    parts = [
        _search_group(body, queries[start : start + groups], k, stored, mask)
        for start in range(0, len(queries), groups)
    ]
    neighbours = Neighbours(
        np.concatenate([part.scores for part, _ in parts]), np.concatenate([part.sequences for part, _ in parts])
    )
    return neighbours, max((search for _, search in parts), key=lambda search: search.effort)


def exact_on(body: Body, queries: Float32, k: int, stored: StoredVectors, mask: RowMask) -> Neighbours:
    """As `search_body`, from the stored vectors of every row in the mask, one by one."""
    sequences = body.sequences[mask.positions()]
    best = Neighbours.none(len(queries), k)
    for start in range(0, len(sequences), _EXACT_CHUNK_ROWS):
        found, vectors = stored.vectors(sequences[start : start + _EXACT_CHUNK_ROWS])
        best = Neighbours.best([best, nearest(queries, k, vectors, found)], k)
    return best


def exact_by_scan(body: Body, queries: Float32, k: int, stored: StoredVectors, mask: RowMask) -> Neighbours:
    """As `exact_on`, in one pass over the whole store: better when the mask holds much of it."""
    best = Neighbours.none(len(queries), k)
    wanted = body.sequences[mask.positions()]
    for chunk in stored.scan(0, _EXACT_CHUNK_ROWS):
        rows = np.flatnonzero(np.isin(chunk.sequences, wanted, assume_unique=True))
        part = nearest(queries, k, np.ascontiguousarray(chunk.vectors[rows]), chunk.sequences[rows])
        best = Neighbours.best([best, part], k)
    return best


def _search_group(
    body: Body, queries: Float32, k: int, stored: StoredVectors, mask: RowMask
) -> tuple[Neighbours, BodySearch]:
    effort, count = _enlarged_effort(body, k, mask), k * body.setting.rerank_factor
    while mask.count:
        count = min(count, mask.count)
        scans = mask.count <= _SCANNED_ROWS or effort >= body.highest_effort
        positions = (
            body.candidates_of_all(queries, count, mask) if scans else body.candidates(queries, count, mask, effort)
        )
        neighbours, gone = _scored_again(body, queries, k, stored, positions)
        mask = mask.without(gone)
        if neighbours.fewest() >= min(k, mask.count):
            plan = f"scan of {mask.count} codes" if scans else "all" if mask.count == mask.rows else "selector"
            return neighbours, BodySearch(plan, effort, count)
        if scans and not len(gone):
            break
        effort, count = 2 * effort, 2 * count
    return exact_on(body, queries, k, stored, mask), BodySearch(f"exact on {mask.count} survivors", 0, mask.count)


def _enlarged_effort(body: Body, k: int, mask: RowMask) -> int:
    depth = max(k, MEASURED_DEPTH) / MEASURED_DEPTH * mask.rows / mask.count
    enlarged: float = body.setting.effort * depth**ENLARGE
    return min(body.highest_effort, round(enlarged))


ENLARGE = 0.5


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
