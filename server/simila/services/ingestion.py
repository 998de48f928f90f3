"""Use case: keep many items whose vectors are there already."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simila.domain.vectors import given_vectors
from simila.index.catalogue import Catalogue
from simila.services.collections import write
from simila.services.item_checks import ItemLimits, check_columns, check_fingerprint
from simila.storage.collection_file import CollectionSpec
from simila.storage.item_writes import UpsertArrays


@dataclass(frozen=True)
class ItemColumns:
    """Items by column, not checked yet; a column that is None has no value for any of them."""

    ids: Sequence[str]
    vectors: NDArray[np.floating[Any]]  # [n, d], of any length
    labels: Sequence[str | None] | None = None
    payloads_json: Sequence[str | None] | None = None


class IngestionService:
    """Ready vectors into collections, thousands in one request."""

    def __init__(self, catalogue: Catalogue, limits: ItemLimits) -> None:
        self._catalogue = catalogue
        self.limits = limits

    async def upsert(self, name: str, columns: ItemColumns, *, fingerprint: str | None) -> int:
        """Store all items, or none; return the newest of their sequences.

        `fingerprint` is that of the encoder which computed the vectors, None if the caller does not say.

        Raises:
            FingerprintMismatch: it is not the collection's.
            InvalidInput, LimitExceeded: an item is at fault; see `check_columns` and `given_vectors`.
            StorageFailed: the disk refuses the write.

        """
        collection = self._catalogue.get(name)
        check_fingerprint(collection.spec, fingerprint)
        operation = await asyncio.to_thread(self._checked, collection.spec, columns)
        written = await write(collection, operation)
        return int(written.sequences[-1])

    def _checked(self, spec: CollectionSpec, columns: ItemColumns) -> UpsertArrays:
        check_columns(columns.ids, columns.labels, columns.payloads_json, self.limits)
        vectors = given_vectors(columns.vectors, spec.dimension, "items")
        return UpsertArrays(columns.ids, vectors, columns.labels, columns.payloads_json)
