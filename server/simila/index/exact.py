"""Exact search over arrays."""

import faiss
import numpy as np

from simila.domain.vectors import Float32, Int64
from simila.index.neighbours import Neighbours
from simila.index.openmp import use_search_threads
from simila.index.row_mask import RowMask


def nearest(queries: Float32, k: int, vectors: Float32, sequences: Int64, mask: RowMask | None = None) -> Neighbours:
    """Find the k of `float32 [n, d]` that have the highest inner product with each of `float32 [q, d]`, in any order.

    Both arrays are contiguous; `sequences` is int64 [n]. Of rows that tie for the last place, any may be left out.
    """
    found = Neighbours.none(len(queries), min(k, len(vectors)))
    if not found.scores.size:
        return found
    use_search_threads(len(queries))
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
