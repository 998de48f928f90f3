"""Exact search: over arrays, and over the stored vectors of a body."""

from collections.abc import Iterator

import faiss
import numpy as np

from simila.domain.vectors import Float32, Int64
from simila.index.body import Body
from simila.index.neighbours import Neighbours
from simila.index.openmp import use_search_threads
from simila.index.positions import positions_of
from simila.index.row_mask import RowMask
from simila.index.stored_vectors import StoredVectors

_CHUNK_ROWS = 8_192
# Above this share of a body, one pass over the whole store is quicker than picking rows.
_SCANNED_SHARE = 0.25


def nearest(queries: Float32, k: int, vectors: Float32, sequences: Int64, mask: RowMask | None = None) -> Neighbours:
    """Find the k of `float32 [n, d]` that have the highest inner product with each of `float32 [q, d]`, in any order.

    Both arrays are contiguous; `sequences` is int64 [n]. Of rows that tie for the last place, any may be left out.
    """
    found = Neighbours.none(len(queries), min(k, len(vectors)))
    if not found.scores.size:
        return found
    use_search_threads()
    faiss.knn_inner_product(
        faiss.swig_ptr(queries),
        faiss.swig_ptr(vectors),
        queries.shape[1],
        len(queries),
        len(vectors),
        found.scores.shape[1],
        faiss.swig_ptr(found.scores),
        faiss.swig_ptr(found.sequences),
        mask.selector() if mask else None,
    )
    empty = found.sequences < 0
    return Neighbours(
        np.where(empty, np.float32(-np.inf), found.scores), np.where(empty, -1, sequences[found.sequences])
    )


def exact_on(body: Body, queries: Float32, k: int, stored: StoredVectors, mask: RowMask) -> tuple[Neighbours, int]:
    """Find the k nearest of the rows in the mask, from their stored vectors; and how many of them the store lacks."""
    best, lacking = Neighbours.none(len(queries), k), mask.count
    for sequences, vectors in _stored_rows(body, stored, mask):
        best = Neighbours.best([best, nearest(queries, k, vectors, sequences)], k)
        lacking -= len(sequences)
    return best, lacking


def _stored_rows(body: Body, stored: StoredVectors, mask: RowMask) -> Iterator[tuple[Int64, Float32]]:
    if mask.count <= _SCANNED_SHARE * mask.rows:
        sequences = body.sequences[mask.positions()]
        for start in range(0, len(sequences), _CHUNK_ROWS):
            yield stored.vectors(sequences[start : start + _CHUNK_ROWS])
        return
    for chunk in stored.scan(0, _CHUNK_ROWS):
        wanted = body.sequences[mask.having(positions_of(chunk.sequences, body.sequences))]
        rows = positions_of(wanted, chunk.sequences)
        yield chunk.sequences[rows], np.ascontiguousarray(chunk.vectors[rows])
