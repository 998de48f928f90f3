"""Bodies made from the store, off the serving path."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import faiss
import numpy as np

from simila.domain.vectors import Float32, Int64
from simila.index.body import Body, Setting
from simila.index.openmp import use_build_threads
from simila.index.recipes import Recipe
from simila.index.stored_vectors import StoredVectors

_CHUNK_ROWS = 8_192
_SEED = 4  # the same rows make the same body


class BuildCancelled(Exception):
    """The caller asked a build or a tuning to stop, or nothing is left to build of."""


@dataclass(frozen=True)
class BuildWatch:
    """How the caller follows a build, and stops it between chunks; training is one step, which cannot be stopped."""

    progress: Callable[[int, int], None] = lambda _done, _total: None  # rows added, rows in all
    is_cancelled: Callable[[], bool] = lambda: False

    def check(self) -> None:
        """Raise if the caller wants no more of it.

        Raises:
            BuildCancelled: so it is.

        """
        if self.is_cancelled():
            raise BuildCancelled


def build_body(recipe: Recipe, stored: StoredVectors, sequences: Int64, dimension: int, watch: BuildWatch) -> Body:
    """Build a body of the rows `int64 [n]`, ascending, at least one, that are stored still; it is not tuned yet.

    All cores but one work on it. Memory is the body's own, and until it is trained the sample's.

    Raises:
        BuildCancelled: the caller asked for it, or none of the rows is stored still.

    """
    use_build_threads()
    index = faiss.index_factory(dimension, recipe.factory(len(sequences), dimension), faiss.METRIC_INNER_PRODUCT)
    if not index.is_trained:
        index.train(_training_sample(stored, sequences, recipe, watch))
    added: list[Int64] = []
    for chunk_sequences, vectors in _chunks_until(stored, int(sequences[-1])):
        watch.check()
        index.add(np.ascontiguousarray(vectors))
        added.append(chunk_sequences)
        watch.progress(min(index.ntotal, len(sequences)), len(sequences))
    if not added:
        raise BuildCancelled
    return Body(index, np.concatenate(added), recipe, Setting(recipe.efforts[-1], recipe.rerank_factors[-1]))


def _training_sample(stored: StoredVectors, sequences: Int64, recipe: Recipe, watch: BuildWatch) -> Float32:
    """Rows drawn evenly from the oldest to the newest."""
    rows = recipe.training_rows(len(sequences))
    chosen = np.sort(np.random.default_rng(_SEED).choice(sequences, rows, replace=False))
    parts = []
    for start in range(0, rows, _CHUNK_ROWS):
        watch.check()
        parts.append(stored.vectors(chosen[start : start + _CHUNK_ROWS])[1])
    sample = np.concatenate(parts)
    if not len(sample):
        raise BuildCancelled
    return sample


def _chunks_until(stored: StoredVectors, last_sequence: int) -> Iterator[tuple[Int64, Float32]]:
    for chunk in stored.scan(0, _CHUNK_ROWS):
        rows = int(np.searchsorted(chunk.sequences, last_sequence, side="right"))
        if rows:
            yield chunk.sequences[:rows], chunk.vectors[:rows]
        if rows < len(chunk.sequences):
            return
