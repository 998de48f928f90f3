"""Use case: keep items."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from simila.domain.errors import InvalidInput, LimitExceeded, NotFound, UnknownEncoder, UnknownItem, quoted
from simila.domain.inputs import ImageInput, Source, TextInput
from simila.domain.results import Item, StoredItem
from simila.domain.vectors import Float32
from simila.engine.model_pool import ModelPool
from simila.index.catalogue import Catalogue
from simila.index.collection import Collection
from simila.index.collection_state import Available, Unavailable
from simila.index.filters import compile_filter
from simila.services.item_checks import ItemLimits, NewItem, check_fingerprint, check_items, check_label
from simila.services.source_vectors import SourceVectors
from simila.storage.collection_file import CollectionSpec
from simila.storage.item_rows import ItemRow
from simila.storage.item_rows import Source as StoredSource
from simila.storage.item_writes import (
    DeclarePayloadIndex,
    Delete,
    DeleteWhere,
    DropPayloadIndex,
    Operation,
    Upsert,
)
from simila.storage.relabelling import Relabel, Relabelled
from simila.storage.where import Where

R = TypeVar("R")

_EVERY_ITEM = Where("1")


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


@dataclass(frozen=True)
class ItemsPage:
    """Items, and the `after_sequence` of the page that follows; None if this is the last one.

    `vectors` are by sequence, `float32 [d], unit length`; an item that was deleted meanwhile has none.
    """

    rows: Sequence[ItemRow]
    next_sequence: int | None
    vectors: Mapping[int, Float32] | None = None


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
        try:
            manifest = self._pool.get(encoder_name).manifest
        except UnknownEncoder as error:
            raise UnknownEncoder(error.message, param="encoder") from error
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
            raise unknown_item(name, item_id, param="id")
        return stored

    async def relabel(self, name: str, ids: Sequence[str], label: str | None) -> Relabelled:
        """Give items another label, or none. Vectors, payloads and what was kept stay; ids of no item are passed over.

        Raises:
            InvalidLabels: the label is blank.
            LimitExceeded: the label is too long, or there are more ids than items may be in one upsert.

        """
        check_ids(ids, self._limits.items.items)
        if label is not None:
            check_label(label, "label", self._limits.items.label_characters)
        return await write(self._catalogue.get(name), Relabel(ids, label))

    async def relabel_item(self, name: str, item_id: str, label: str | None) -> int:
        """Give an item another label, or none; return its new sequence.

        Raises:
            UnknownItem: there is no such item.
            InvalidLabels, LimitExceeded: as `relabel`.

        """
        written = await self.relabel(name, [item_id], label)
        if not len(written.sequences):
            raise unknown_item(name, item_id, param="id")
        return int(written.sequences[0])

    async def delete_item(self, name: str, item_id: str) -> None:
        deleted = await write(self._catalogue.get(name), Delete([item_id]))
        if not deleted.ids:
            raise unknown_item(name, item_id, param="id")

    async def delete_items(self, name: str, ids: Sequence[str]) -> Sequence[str]:
        """Delete the items of these ids and say which there were.

        Raises:
            LimitExceeded: more ids than items may be in one upsert.

        """
        check_ids(ids, self._limits.items.items)
        return (await write(self._catalogue.get(name), Delete(ids))).ids

    async def delete_matching(self, name: str, filter: Any) -> int:  # noqa: A002 - the wire's name
        """Delete all items that match and say how many there were.

        Raises:
            InvalidInput: the filter is malformed, or says nothing and so matches every item.

        """
        return len((await write(self._catalogue.get(name), DeleteWhere(selective(filter)))).ids)

    async def delete_all_items(self, name: str) -> int:
        return len((await write(self._catalogue.get(name), DeleteWhere(_EVERY_ITEM))).ids)

    async def count(self, name: str, filter: Any = None) -> int:  # noqa: A002 - the wire's name
        """How many items match.

        Raises:
            InvalidInput: the filter is malformed.

        """
        where = None if filter is None else compile_filter(filter)
        return await asyncio.to_thread(self._catalogue.get(name).reader.count, where)

    async def page(
        self,
        name: str,
        *,
        after_sequence: int,
        limit: int,
        filter: Any = None,  # noqa: A002 - the wire's name
        with_vectors: bool = False,
    ) -> ItemsPage:
        """The next items that match, in the order they were written.

        Raises:
            LimitExceeded: `limit` is more than the server allows.
            InvalidInput: the filter is malformed.

        """
        if limit > self._limits.page:
            most = self._limits.page
            message = f"limit is {limit}, more than the most allowed, {most} (SIMILA_LIMITS__MAX_SEARCH_RESULTS)"
            raise LimitExceeded(message, param="limit")
        where = _EVERY_ITEM if filter is None else compile_filter(filter)
        reader = self._catalogue.get(name).reader

        def read() -> ItemsPage:
            found = reader.page(after_sequence, limit + 1, where)  # one more tells whether another page follows
            rows = found[:limit]
            following = rows[-1].sequence if len(found) > limit else None
            if not with_vectors:
                return ItemsPage(rows, following)
            sequences, vectors = reader.vectors(np.array([row.sequence for row in rows], np.int64))
            return ItemsPage(rows, following, dict(zip(sequences.tolist(), vectors, strict=True)))

        return await asyncio.to_thread(read)

    async def declare_payload_index(self, name: str, key: str) -> bool:
        """Make filters on a payload key quick; False if they were before.

        Raises:
            InvalidInput: SQLite cannot address the key.

        """
        if key.startswith("$"):
            raise InvalidInput(f"the key {quoted(key)} starts with '$', and filters address no such key", param="key")
        return await _write_named(self._catalogue.get(name), DeclarePayloadIndex(key), param="key")

    async def drop_payload_index(self, name: str, key: str) -> None:
        if not await _write_named(self._catalogue.get(name), DropPayloadIndex(key), param="key"):
            raise NotFound(f"collection {name} has no payload index {quoted(key)}", param="key")


def selective(filter: Any) -> Where:  # noqa: A002 - the wire's name
    """The condition of a filter that is to delete what it matches.

    Raises:
        InvalidInput: the filter is malformed, or says nothing and so matches every item.

    """
    where = compile_filter(filter)
    if where == compile_filter({}):
        message = 'filter: it matches every item; to delete them all, send {"all": true} to items/delete'
        raise InvalidInput(message, param="filter")
    return where


def check_ids(ids: Sequence[str], most: int) -> None:
    """Check how many items one request names.

    Raises:
        LimitExceeded: more than `most`.

    """
    if len(ids) > most:
        message = f"{len(ids)} ids are more than the limit of {most} (SIMILA_LIMITS__MAX_ITEMS)"
        raise LimitExceeded(message, param="ids")


async def write(collection: Collection, operation: Operation[R]) -> R:
    """Wait until a write is durable and searchable. To cancel this does not undo what has begun."""
    return await asyncio.wrap_future(await asyncio.to_thread(collection.write, operation))


async def _write_named(collection: Collection, operation: Operation[R], *, param: str) -> R:
    try:
        return await write(collection, operation)
    except InvalidInput as error:
        raise InvalidInput(error.message, param=param) from error


def unknown_item(name: str, item_id: str, *, param: str) -> UnknownItem:
    return UnknownItem(f"collection {name} has no item '{item_id}'", param=param)


def _describe(collection: Collection) -> Available:
    return Available(collection.spec, collection.statistics())


def _kept(source: Source) -> StoredSource | None:
    """What a collection that keeps its sources keeps of one. Tokens and vectors have none for another encoder."""
    if isinstance(source, TextInput):
        return StoredSource("text", source.text.encode())
    return StoredSource("image", source.data) if isinstance(source, ImageInput) else None
