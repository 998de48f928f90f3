"""Exact nearest neighbours by FAISS."""

from collections.abc import Sequence

import faiss
import numpy as np

from simila.domain.vectors import Float32, Int64

# A batch of queries goes through BLAS once `queries * dimension` passes this. With FAISS's 128,000, 64 queries of 384
# dimensions stay on the path that is four times slower.
faiss.cvar.distance_compute_blas_threshold = 4096

_CORES: int = faiss.omp_get_max_threads()


class VectorIndex:
    """Unit vectors by id (the item's sequence), compared by inner product, which is their cosine.

    Not thread-safe: the caller lets nothing else in while vectors are added or removed.
    """

    def __init__(self, dimension: int) -> None:
        self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, sequences: Int64, vectors: Float32) -> None:
        """Add vectors `float32 [n, d], unit length` under sequences `int64 [n]` that are not in the index."""
        self._index.add_with_ids(np.ascontiguousarray(vectors, dtype=np.float32), sequences)

    def remove(self, sequences: Int64) -> None:
        """Remove the vectors of `int64 [n]`; those that are not in the index are passed over.

        FAISS moves all vectors that lie behind, so the cost is that of the whole index, however few are removed.
        """
        if len(sequences):
            self._index.remove_ids(faiss.IDSelectorBatch(sequences))

    def vectors(self, sequences: Int64) -> Float32:
        """The vectors of sequences `int64 [n]` that are in the index, as `float32 [n, d], unit length`."""
        found: Float32 = self._index.reconstruct_batch(sequences)
        return found

    def search(self, queries: Float32, limit: int, excluded: Sequence[int] = ()) -> tuple[Float32, Int64]:
        """Find the `limit` vectors nearest to each of `float32 [q, d], unit length`.

        Returns:
            Cosines `float32 [q, k]` and sequences `int64 [q, k]`, k the smaller of `limit` and `len(self)`. Rows go
            from the highest cosine down, equal cosines from the oldest sequence up; of those that tie for the last
            place, any may be left out. Where `excluded` leaves fewer than k, the row ends in -1 with a cosine of -inf.

        """
        k = min(limit, len(self))
        if k < 1:
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        # OpenMP keeps this figure for each calling thread. Two threads make a single query slower, and a batch faster.
        faiss.omp_set_num_threads(1 if len(queries) == 1 else _CORES)
        scores, sequences = self._index.search(
            np.ascontiguousarray(queries, dtype=np.float32), k, params=_all_but(excluded)
        )
        scores = np.where(sequences < 0, np.float32(-np.inf), scores)
        order = np.lexsort((sequences, -scores), axis=-1)
        return np.take_along_axis(scores, order, axis=1), np.take_along_axis(sequences, order, axis=1)


def _all_but(excluded: Sequence[int]) -> faiss.SearchParameters | None:
    if not excluded:
        return None
    selector = faiss.IDSelectorNot(faiss.IDSelectorBatch(np.array(excluded, dtype=np.int64)))
    return faiss.SearchParameters(sel=selector)  # type: ignore[call-arg] # missing in FAISS's stubs
