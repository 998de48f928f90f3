"""Use case: keep items, find the most alike, and learn classes from their labels."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from simila.classifiers import decision_rules
from simila.classifiers.prototypes import Prototypes, class_means
from simila.domain.errors import LimitExceeded, NoExamples, UnknownItem
from simila.domain.inputs import Source
from simila.domain.results import Hit, Item, StoredItem
from simila.engine.model_pool import ModelPool
from simila.index.catalogue import Available, Catalogue, Unavailable
from simila.index.collection import Collection, LabelledVectors
from simila.services.item_checks import ItemLimits, NewItem, check_items
from simila.services.ranking import Classified, check_predictions, rank
from simila.services.source_vectors import SourceVectors


@dataclass(frozen=True)
class StoredId:
    """A query: more like the item of this id."""

    id: str


@dataclass(frozen=True)
class CollectionLimits:
    items: ItemLimits
    search_results: int
    predictions: int


class CollectionService:
    """Joins the engine and the index: sources become vectors of the collection's encoder."""

    def __init__(self, pool: ModelPool, catalogue: Catalogue, limits: CollectionLimits) -> None:
        self._pool = pool
        self._source_vectors = SourceVectors(pool)
        self._catalogue = catalogue
        self._limits = limits
        self._means: dict[str, tuple[LabelledVectors, Prototypes]] = {}

    async def create(self, name: str, encoder_name: str) -> tuple[Available, bool]:
        """Make a collection, or find the one that is there; say which.

        Raises:
            UnknownEncoder, NotReady: see `ModelPool.get`.
            InvalidInput, FingerprintMismatch, CollectionUnavailable, StorageFailed: see `Catalogue.create`.

        """
        manifest = self._pool.get(encoder_name).manifest
        collection, created = await asyncio.to_thread(
            self._catalogue.create,
            name,
            encoder=manifest.name,
            fingerprint=manifest.fingerprint,
            dimension=manifest.dimension,
        )
        return await asyncio.to_thread(_describe, collection), created

    async def describe(self, name: str) -> Available:
        return await asyncio.to_thread(_describe, self._catalogue.get(name))

    async def states(self) -> Mapping[str, Available | Unavailable]:
        return await asyncio.to_thread(self._catalogue.states)

    async def drop(self, name: str) -> None:
        await asyncio.to_thread(self._catalogue.drop, name)
        self._means.pop(name, None)

    async def upsert(self, name: str, items: Sequence[NewItem]) -> int:
        """Embed and store all items, or none; return the collection's newest sequence.

        Raises:
            InvalidInput, LimitExceeded, …: an item is at fault; see `check_items` and `SourceVectors.of`.
            FingerprintMismatch, CannotServe: see `SourceVectors.of`.

        """
        collection = self._catalogue.get(name)
        check_items(items, self._limits.items)
        names = [f"items[{position}]" for position in range(len(items))]
        vectors, _ = await self._source_vectors.of(collection.spec, [item.source for item in items], names)
        stored = [Item(item.id, vector, item.label, item.payload) for item, vector in zip(items, vectors, strict=True)]
        return await asyncio.to_thread(collection.upsert, stored)

    async def get_item(self, name: str, item_id: str) -> StoredItem:
        stored = await asyncio.to_thread(self._catalogue.get(name).get, item_id)
        if stored is None:
            raise _unknown_item(name, item_id)
        return stored

    async def delete_item(self, name: str, item_id: str) -> None:
        if not await asyncio.to_thread(self._catalogue.get(name).delete, item_id):
            raise _unknown_item(name, item_id)

    async def page(self, name: str, *, after_sequence: int, limit: int) -> list[StoredItem]:
        self._check_limit(limit)
        return await asyncio.to_thread(self._catalogue.get(name).page, after_sequence, limit)

    async def search(
        self, name: str, query: Source | StoredId, *, limit: int, score_threshold: float | None = None
    ) -> list[Hit]:
        """The items most like the query; a stored item is not among the items that are like it.

        Raises:
            LimitExceeded: `limit` is more than the server allows.
            UnknownItem: the query names an item that is not there.

        """
        self._check_limit(limit)
        collection = self._catalogue.get(name)
        if isinstance(query, StoredId):
            vector = (await self.get_item(name, query.id)).item.vector
        else:
            vectors, _ = await self._source_vectors.of(collection.spec, [query], ["query"])
            vector = vectors[0]
        return await asyncio.to_thread(
            collection.search,
            vector,
            limit,
            score_threshold=score_threshold,
            exclude_id=query.id if isinstance(query, StoredId) else None,
        )

    async def classify(self, name: str, sources: Sequence[Source], *, top_k: int | None = None) -> Classified:
        """Rank the collection's labels for each input, by nearest mean.

        Raises:
            NoExamples: no item has a label.
            LimitExceeded: see `check_predictions`.

        """
        collection = self._catalogue.get(name)
        names = [f"input[{position}]" for position in range(len(sources))]
        vectors, tokens = await self._source_vectors.of(collection.spec, sources, names)
        means = await asyncio.to_thread(self._class_means, collection)
        check_predictions(len(sources), len(means.labels), top_k, limit=self._limits.predictions)
        return Classified(await rank(decision_rules.nearest_mean, vectors, means, top_k), tokens)

    def _class_means(self, collection: Collection) -> Prototypes:
        """The means of the labelled items as they are now, computed afresh after each write."""
        labelled = collection.labelled_vectors()
        if not labelled.labels:
            raise NoExamples(f"collection {collection.spec.name} has no labelled items to learn classes from")
        known = self._means.get(collection.spec.name)
        if known is None or known[0] is not labelled:
            known = self._means[collection.spec.name] = (labelled, class_means(labelled.vectors, labelled.labels))
        return known[1]

    def _check_limit(self, limit: int) -> None:
        if limit > self._limits.search_results:
            most = self._limits.search_results
            message = f"limit is {limit}, more than the most allowed, {most} (SIMILA_LIMITS__MAX_SEARCH_RESULTS)"
            raise LimitExceeded(message, param="limit")


def _describe(collection: Collection) -> Available:
    return Available(collection.spec, collection.statistics())


def _unknown_item(name: str, item_id: str) -> UnknownItem:
    return UnknownItem(f"collection {name} has no item '{item_id}'", param="id")
