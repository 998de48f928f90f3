"""Use case: forget items, and prove it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simila.domain.errors import NotReady
from simila.engine.model_pool import ModelPool
from simila.index.catalogue import Catalogue
from simila.index.collection import Collection
from simila.services.collections import check_ids, selective, write
from simila.services.example_models import ExampleModels
from simila.services.maps import MapService
from simila.services.training_jobs import ErasedClassifiers, TrainingJobs
from simila.storage.item_writes import Delete, Deleted, DeleteWhere
from simila.storage.where import Where

MOST_IDS_TOLD = 1000


@dataclass(frozen=True)
class ToForget:
    """Exactly one of three: items of these ids, all of a class, or all that match a filter."""

    ids: Sequence[str] | None = None
    label: str | None = None
    filter: Any = None


@dataclass(frozen=True)
class Receipt:
    """What was forgotten, and what is left.

    `ids` are the first `MOST_IDS_TOLD`. `remaining` counts the classes that lost items; `verified` says that their sums
    agree with those made afresh of what is left. `stale_classifiers` had learned from what is gone, and are erased.
    `unreadable_classifiers` have damaged records: what they learned from is unknown, so they are left as they are.
    """

    items: int
    ids: Sequence[str]
    classes: Mapping[str, int]
    remaining: Mapping[str, int]
    stale_classifiers: Sequence[str]
    unreadable_classifiers: Sequence[str] = ()
    verified: bool = True


class ForgettingService:
    """Deletes items so that their bytes are in no file of the collection, no classifier and no backup made after."""

    def __init__(
        self,
        pool: ModelPool,
        catalogue: Catalogue,
        models: ExampleModels,
        jobs: TrainingJobs,
        maps: MapService,
        *,
        most_ids: int,
    ) -> None:
        self._pool = pool
        self._catalogue = catalogue
        self._models = models
        self._jobs = jobs
        self._maps = maps
        self._most_ids = most_ids

    async def forget(self, name: str, what: ToForget) -> Receipt:
        """Delete, erase and verify. What is gone already is passed over, so that the same can be asked again.

        Raises:
            InvalidInput: the filter is malformed, or says nothing and so matches every item.
            LimitExceeded: more ids than items may be in one upsert.
            StorageFailed: the items are deleted, and their bytes may still be on the disk.
            NotReady: the items are deleted, and a long read keeps their bytes on the disk.

        """
        collection = self._catalogue.get(name)
        deleted = await write(collection, self._deletion(what))
        self._models.drop(collection)
        self._pool.forget_vectors()
        classifiers = await self._jobs.forget(collection)
        had_map = await self._maps.drop(collection)
        receipt = await asyncio.to_thread(_erased, collection, deleted, classifiers)
        if had_map:
            await self._maps.start(name)
        return receipt

    def _deletion(self, what: ToForget) -> Delete | DeleteWhere:
        if what.ids is not None:
            check_ids(what.ids, self._most_ids)
            return Delete(what.ids)
        if what.label is not None:
            return DeleteWhere(Where("items.label = ?", (what.label,)))
        return DeleteWhere(selective(what.filter))


def _erased(collection: Collection, deleted: Deleted, classifiers: ErasedClassifiers) -> Receipt:
    if not collection.forget_deleted():
        raise NotReady(
            f"{len(deleted.ids)} items of collection {collection.spec.name} are deleted, but an export or backup keeps"
            " their bytes on the disk; send the same request again when it is done"
        )
    collection.reader.check_classes(deleted.classes)
    counts = collection.reader.label_counts()
    remaining = {label: counts.get(label, 0) for label in deleted.classes}
    ids = deleted.ids[:MOST_IDS_TOLD]
    stale, unreadable = classifiers.stale, classifiers.unreadable
    return Receipt(len(deleted.ids), ids, deleted.classes, remaining, stale, unreadable)
