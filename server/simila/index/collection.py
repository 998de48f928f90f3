"""One collection: items that last, and their nearest neighbours."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from simila.domain.errors import InvalidVector, UnknownCollection
from simila.domain.results import Hit, Item, StoredItem
from simila.domain.vectors import Float32, Int64
from simila.index.vector_index import VectorIndex
from simila.storage.item_store import CollectionSpec, ItemStore

_CHUNK_ROWS = 8192


@dataclass(frozen=True)
class LabelledVectors:
    """The examples of a collection, from the oldest to the newest."""

    vectors: Float32  # [n, d], unit length
    labels: Sequence[str]


@dataclass(frozen=True)
class CollectionStatistics:
    """How much a collection holds. `labels` counts the items of each label."""

    items: int
    labels: Mapping[str, int]
    last_sequence: int


class _Derived:
    """What is computed from the store, and can be computed from it again."""

    def __init__(self, dimension: int) -> None:
        self.index = VectorIndex(dimension)
        self._labels: dict[int, str] = {}
        self._labelled: LabelledVectors | None = None

    @classmethod
    def of(cls, store: ItemStore) -> Self:
        derived = cls(store.spec.dimension)
        for chunk in store.scan(_CHUNK_ROWS):
            derived.add(chunk.sequences, chunk.vectors, chunk.labels)
        return derived

    def add(self, sequences: Int64, vectors: Float32, labels: Sequence[str | None]) -> None:
        self._labelled = None
        self.index.add(sequences, vectors)
        pairs = zip(sequences.tolist(), labels, strict=True)
        self._labels.update((sequence, label) for sequence, label in pairs if label is not None)

    def remove(self, sequences: Int64) -> None:
        self._labelled = None
        self.index.remove(sequences)
        for sequence in sequences.tolist():
            self._labels.pop(sequence, None)

    def labelled_vectors(self) -> LabelledVectors:
        if self._labelled is None:
            sequences = np.array(list(self._labels), dtype=np.int64)
            self._labelled = LabelledVectors(self.index.vectors(sequences), list(self._labels.values()))
        return self._labelled

    def label_counts(self) -> dict[str, int]:
        return dict(Counter(self._labels.values()))


class Collection:
    """A store and the index made of it, under one lock.

    A write goes to SQLite first, then to the index, then back to the caller. A search reads index and rows under the
    same lock, so it never meets a vector without its row. If the index fails half way it is dropped, and the next use
    builds it from the store. Thread-safe; every method blocks, so call it from a worker thread. After `close`, every
    method raises `UnknownCollection`; a store that cannot be read makes each of them raise `CollectionUnavailable`.
    """

    def __init__(self, store: ItemStore) -> None:
        self.spec: CollectionSpec = store.spec
        self._lock = threading.Lock()
        self._store = store
        self._derived: _Derived | None = None
        self._closed = False

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the SQLite file at `path` and build its index.

        Raises:
            CollectionUnavailable: the file is missing, damaged, or written by a newer Simila.

        """
        collection = cls(ItemStore.open(path))
        try:
            with collection._lock:
                collection._current()
        except BaseException:
            collection.close()
            raise
        return collection

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._derived = None
            self._store.close()

    def upsert(self, items: Sequence[Item]) -> int:
        """Write all items or, when it raises, none; return the newest sequence of the collection.

        Raises:
            InvalidVector: a vector has another dimension, or a value that is not finite.
            DuplicateId: two items have the same id.
            InvalidInput: a payload is not JSON.
            StorageFailed: the disk refuses the write.

        """
        for item in items:
            self._check(item.vector, f"item '{item.id}': the vector")
        with self._lock:
            derived = self._current()
            written = self._store.upsert(items)
            self._derived = None
            derived.remove(written.replaced)
            if items:
                derived.add(written.sequences, np.stack([item.vector for item in items]), [i.label for i in items])
            self._derived = derived
            return self._store.last_sequence

    def delete(self, item_id: str) -> bool:
        """Delete an item; False if there is no such item.

        Raises:
            StorageFailed: the disk refuses the write.

        """
        with self._lock:
            derived = self._current()
            sequence = self._store.delete(item_id)
            if sequence is None:
                return False
            self._derived = None
            derived.remove(np.array([sequence], dtype=np.int64))
            self._derived = derived
            return True

    def get(self, item_id: str) -> StoredItem | None:
        """Return an item; None if there is no such item."""
        with self._lock:
            self._require_open()
            return self._store.get(item_id)

    def page(self, after_sequence: int, limit: int) -> list[StoredItem]:
        """Return the next items in the order they were written; 0 starts at the oldest."""
        with self._lock:
            self._require_open()
            return self._store.page(after_sequence, limit)

    def search(
        self, query: Float32, limit: int, *, score_threshold: float | None = None, exclude_id: str | None = None
    ) -> list[Hit]:
        """Find the `limit` items nearest to `float32 [d], unit length`, or all that match if they are fewer.

        Items match that have a cosine of at least `score_threshold` and another id than `exclude_id`. The nearest comes
        first, of equals the oldest.

        Raises:
            InvalidVector: the query has another dimension, or a value that is not finite.

        """
        self._check(query, "the query")
        with self._lock:
            index = self._current().index
            excluded = self._store.get(exclude_id) if exclude_id is not None else None
            scores, sequences = index.search(query[np.newaxis], limit, [excluded.sequence] if excluded else [])
            scores, sequences = scores[0], sequences[0]
            matches = (sequences >= 0) & (scores >= (-np.inf if score_threshold is None else score_threshold))
            rows = self._store.fetch(sequences[matches].tolist())
        # Rounding takes the inner product of unit vectors past 1, a cosine never is.
        cosines = np.clip(scores[matches], -1, 1)
        return [
            _hit(rows[sequence], cosine)
            for sequence, cosine in zip(sequences[matches].tolist(), cosines.tolist(), strict=True)
        ]

    def labelled_vectors(self) -> LabelledVectors:
        """All items that have a label. Until the next write, the same object."""
        with self._lock:
            return self._current().labelled_vectors()

    def statistics(self) -> CollectionStatistics:
        with self._lock:
            derived = self._current()
            return CollectionStatistics(len(derived.index), derived.label_counts(), self._store.last_sequence)

    def _require_open(self) -> None:
        if self._closed:
            raise UnknownCollection(f"collection {self.spec.name} is closed: it was deleted, or the server is stopping")

    def _current(self) -> _Derived:
        self._require_open()
        if self._derived is None:
            self._derived = _Derived.of(self._store)
        return self._derived

    def _check(self, vector: Float32, what: str) -> None:
        if vector.shape != (self.spec.dimension,):
            shape = " x ".join(map(str, vector.shape))
            message = f"{what} has {shape} dimensions; the vectors of collection {self.spec.name} have"
            raise InvalidVector(f"{message} {self.spec.dimension}", param="vector")
        if not np.isfinite(vector).all():
            raise InvalidVector(f"{what} has a value that is not finite", param="vector")


def _hit(stored: StoredItem, cosine: float) -> Hit:
    return Hit(stored.item.id, cosine, stored.item.label, stored.item.payload)
