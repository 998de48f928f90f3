"""Use case: keep items."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from simila.domain.errors import LimitExceeded, UnknownItem
from simila.domain.inputs import ImageInput, Source, TextInput
from simila.domain.results import Item, StoredItem
from simila.engine.model_pool import ModelPool
from simila.index.catalogue import Available, Catalogue, Unavailable
from simila.index.collection import Collection
from simila.services.item_checks import ItemLimits, NewItem, check_fingerprint, check_items
from simila.services.source_vectors import SourceVectors
from simila.storage.collection_file import CollectionSpec
from simila.storage.item_rows import ItemRow
from simila.storage.item_rows import Source as StoredSource
from simila.storage.item_writes import Delete, Operation, Upsert

R = TypeVar("R")


@dataclass(frozen=True)
class CollectionOptions:
    """How a new collection keeps its vectors, and what it promises of its searches."""

    vector_dtype: Literal["float32", "float16"] = "float32"
    store_inputs: bool = False
    recall_target: float = 0.95


@dataclass(frozen=True)
class CollectionLimits:
    items: ItemLimits
    page: int


class CollectionService:
    """Collections and their items; sources become vectors of the collection's encoder."""

    def __init__(self, pool: ModelPool, catalogue: Catalogue, limits: CollectionLimits) -> None:
        self._pool = pool
        self._source_vectors = SourceVectors(pool)
        self._catalogue = catalogue
        self._limits = limits

    async def create(self, name: str, encoder_name: str, options: CollectionOptions) -> tuple[Available, bool]:
        """Make a collection, or find the one that is there; say which.

        Raises:
            UnknownEncoder, NotReady: see `ModelPool.get`.
            InvalidInput, Conflict, CollectionUnavailable, StorageFailed: see `Catalogue.create`.

        """
        manifest = self._pool.get(encoder_name).manifest
        spec = CollectionSpec.new(
            name,
            encoder=manifest.name,
            fingerprint=manifest.fingerprint,
            dimension=manifest.dimension,
            vector_dtype=options.vector_dtype,
            store_inputs=options.store_inputs,
            recall_target=options.recall_target,
        )
        collection, created = await asyncio.to_thread(self._catalogue.create, spec)
        return await asyncio.to_thread(_describe, collection), created

    async def describe(self, name: str) -> Available:
        return await asyncio.to_thread(_describe, self._catalogue.get(name))

    async def states(self) -> Mapping[str, Available | Unavailable]:
        return await asyncio.to_thread(self._catalogue.states)

    async def drop(self, name: str) -> None:
        await asyncio.to_thread(self._catalogue.drop, name)

    async def upsert(self, name: str, items: Sequence[NewItem], *, fingerprint: str | None = None) -> int:
        """Embed and store all items, or none; return the newest of their sequences.

        `fingerprint` is that of the encoder which computed given vectors, None if the caller does not say.

        Raises:
            InvalidInput, LimitExceeded, …: an item is at fault; see `check_items` and `SourceVectors.of`.
            FingerprintMismatch, CannotServe: see `check_fingerprint` and `SourceVectors.of`.

        """
        collection = self._catalogue.get(name)
        check_fingerprint(collection.spec, fingerprint)
        check_items(items, self._limits.items)
        names = [f"items[{position}]" for position in range(len(items))]
        vectors, _ = await self._source_vectors.of(collection.spec, [item.source for item in items], names)
        stored = [Item(item.id, vector, item.label, item.payload) for item, vector in zip(items, vectors, strict=True)]
        sources = [_kept(item.source) for item in items] if collection.spec.store_inputs else None
        written = await write(collection, Upsert(stored, sources))
        return int(written.sequences[-1])

    async def get_item(self, name: str, item_id: str) -> StoredItem:
        stored = await asyncio.to_thread(self._catalogue.get(name).reader.get, item_id)
        if stored is None:
            raise unknown_item(name, item_id)
        return stored

    async def delete_item(self, name: str, item_id: str) -> None:
        deleted = await write(self._catalogue.get(name), Delete([item_id]))
        if not deleted.ids:
            raise unknown_item(name, item_id)

    async def page(self, name: str, *, after_sequence: int, limit: int) -> list[ItemRow]:
        if limit > self._limits.page:
            most = self._limits.page
            message = f"limit is {limit}, more than the most allowed, {most} (SIMILA_LIMITS__MAX_SEARCH_RESULTS)"
            raise LimitExceeded(message, param="limit")
        return await asyncio.to_thread(self._catalogue.get(name).reader.page, after_sequence, limit)


async def write(collection: Collection, operation: Operation[R]) -> R:
    """Wait until a write is durable and searchable. To cancel this does not undo what has begun."""
    return await asyncio.wrap_future(await asyncio.to_thread(collection.write, operation))


def unknown_item(name: str, item_id: str) -> UnknownItem:
    return UnknownItem(f"collection {name} has no item '{item_id}'", param="id")


def _describe(collection: Collection) -> Available:
    return Available(collection.spec, collection.statistics())


def _kept(source: Source) -> StoredSource | None:
    """What a collection that keeps its sources keeps of one. Tokens and vectors have none for another encoder."""
    if isinstance(source, TextInput):
        return StoredSource("text", source.text.encode())
    return StoredSource("image", source.data) if isinstance(source, ImageInput) else None
