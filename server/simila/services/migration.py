"""Use case: a collection moves into another encoder's space, while it serves."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from simila.domain.errors import CannotServe, CollectionUnavailable, Conflict, Overloaded, SimilaError, UnknownEncoder
from simila.domain.inputs import Embedded, ImageInput, Input, TextInput
from simila.domain.results import Item
from simila.domain.vectors import Int64
from simila.engine.encoder import Encoder
from simila.engine.model_pool import ModelPool
from simila.index.catalogue import Catalogue
from simila.index.collection import Collection
from simila.services.collections import write
from simila.services.embedding import in_role
from simila.storage.collection_file import CollectionSpec
from simila.storage.item_reader import StoredInput
from simila.storage.item_writes import DeclarePayloadIndex, Delete, Upsert

logger = logging.getLogger("simila.services")
CHUNK_ROWS = 64
# Whoever took the old generation before the switch may search it for so long.
GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class MigrationProgress:
    """How far a migration is. When it is done, the collection has the new encoder; when it failed, the old one."""

    encoder: str
    state: Literal["running", "done", "failed"]
    items_done: int
    items_total: int
    error: str | None = None


class MigrationService:
    """Embeds the stored sources of collections again, each into a new generation that takes the old one's place.

    Searches and writes go on meanwhile; what is written is migrated too. Only for the last few items do writes get 503.
    A migration ends with the process: after a restart the collection is as it was before.
    """

    def __init__(self, pool: ModelPool, catalogue: Catalogue) -> None:
        self._pool = pool
        self._catalogue = catalogue
        self._progress: dict[str, MigrationProgress] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def progress(self, name: str) -> MigrationProgress | None:
        """The newest migration of a collection, since the server started.

        Raises:
            UnknownCollection, CollectionUnavailable: there is no such collection, or it cannot be read.

        """
        self._catalogue.get(name)
        return self._progress.get(name)

    async def start(self, name: str, encoder_name: str) -> MigrationProgress:
        """Begin to migrate; or return the migration to this encoder that is under way.

        Raises:
            UnknownCollection, CollectionUnavailable, UnknownEncoder, NotReady: one of the two cannot be had.
            Conflict: the collection is of this encoder already, or migrates to another.
            CannotServe: sources are missing, or the encoder embeds no such sources.

        """
        collection, encoder = self._catalogue.get(name), self._encoder(encoder_name)
        running = self._progress.get(name)
        if running and running.state == "running":
            if running.encoder != encoder_name:
                raise Conflict(f"collection {name} is migrating to {running.encoder}", param="encoder")
            return running
        if collection.spec.fingerprint == encoder.manifest.fingerprint:
            raise Conflict(
                f"collection {name} holds vectors of this revision of {encoder_name} already", param="encoder"
            )
        total = await asyncio.to_thread(_checked_total, collection)
        progress = self._progress[name] = MigrationProgress(encoder_name, "running", 0, total)
        task = self._tasks[name] = asyncio.create_task(self._run(collection, encoder))
        encoder.hold(task)
        task.add_done_callback(lambda _: self._tasks.pop(name, None))
        return progress

    async def close(self) -> None:
        """End what is under way; the collections stay as they are."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _encoder(self, name: str) -> Encoder:
        try:
            return self._pool.get(name)
        except UnknownEncoder as error:
            raise UnknownEncoder(error.message, param="encoder") from error

    async def _run(self, collection: Collection, encoder: Encoder) -> None:
        name = collection.spec.name
        try:
            await self._migrate(collection, encoder)
        except SimilaError as error:
            logger.warning("collection %s stays with encoder %s: %s", name, collection.spec.encoder, error)
            self._note(name, state="failed", error=error.message)
        except Exception:
            logger.exception("collection %s stays with encoder %s", name, collection.spec.encoder)
            self._note(name, state="failed", error="the migration failed; the server's log says why")

    async def _migrate(self, collection: Collection, encoder: Encoder) -> None:
        spec = collection.spec
        target = await asyncio.to_thread(self._catalogue.new_generation, _moved(spec, encoder))
        superseded: Collection | None = target
        try:
            copy = _Copy(collection, target, encoder, lambda done: self._note_copied(spec.name, done))
            await copy.indexes()
            await copy.items()
            busy = f"collection {spec.name} is being switched to encoder {encoder.manifest.name}; send this again"
            await asyncio.wrap_future(collection.retire(CollectionUnavailable(busy)))
            try:
                await copy.items()
                await copy.deletions()
                superseded = await asyncio.to_thread(self._catalogue.switch, target, instead_of=collection)
            except BaseException:
                collection.resume()
                raise
            total = await asyncio.to_thread(target.reader.count)
            self._note(spec.name, state="done", items_done=total, items_total=total)
            await asyncio.sleep(GRACE_SECONDS)
        finally:
            if superseded:
                await asyncio.to_thread(self._catalogue.discard, superseded)

    def _note_copied(self, name: str, items: int) -> None:
        self._note(name, items_done=items, items_total=max(items, self._progress[name].items_total))

    def _note(self, name: str, **changes: object) -> None:
        self._progress[name] = replace(self._progress[name], **changes)  # type: ignore[arg-type]  # a few fields


class _Copy:
    """Items on their way from one generation to the next."""

    def __init__(self, source: Collection, target: Collection, encoder: Encoder, note: Callable[[int], None]) -> None:
        self._source = source
        self._target = target
        self._encoder = encoder
        self._note = note
        self._after = 0
        self._old: list[Int64] = []
        self._new: list[Int64] = []

    async def indexes(self) -> None:
        for key in await asyncio.to_thread(self._source.reader.payload_indexes):
            await write(self._target, DeclarePayloadIndex(key))

    async def items(self) -> None:
        """Copy all that was written since the last call."""
        while inputs := await asyncio.to_thread(self._source.reader.inputs, self._after, CHUNK_ROWS):
            await self._copy(inputs)
            self._after = inputs[-1].sequence
            self._note(sum(map(len, self._new)))

    async def deletions(self) -> None:
        """Delete what was deleted, or replaced by a newer copy, since it was copied."""
        alive = await asyncio.to_thread(self._source.reader.sequences)
        old, new = np.concatenate(self._old or [alive]), np.concatenate(self._new or [alive])
        rows = await asyncio.to_thread(self._target.reader.by_sequence, new[~np.isin(old, alive)])
        await write(self._target, Delete([row.id for row in rows.values()]))
        await asyncio.to_thread(_checked_total, self._source)  # vectors may have been sent without their sources

    async def _copy(self, inputs: Sequence[StoredInput]) -> None:
        rows = await asyncio.to_thread(self._source.reader.by_sequence, [entry.sequence for entry in inputs])
        kept = [entry for entry in inputs if entry.sequence in rows]
        if not kept:
            return
        embedded = await _patiently_embedded(
            self._encoder, in_role([_input(entry) for entry in kept], self._encoder.manifest, "passage")
        )
        if embedded.failures:
            position, error = next(iter(embedded.failures.items()))
            raise CannotServe(f"item '{rows[kept[position].sequence].id}': {error.message}")
        items = [
            Item(row.id, vector, row.label, row.payload)
            for row, vector in zip((rows[entry.sequence] for entry in kept), embedded.vectors, strict=True)
        ]
        written = await write(self._target, Upsert(items, [entry.source for entry in kept]))
        self._old.append(np.array([entry.sequence for entry in kept], dtype=np.int64))
        self._new.append(written.sequences)


async def _patiently_embedded(encoder: Encoder, inputs: Sequence[Input]) -> Embedded:
    """Embed beside all other requests; a migration is nobody's hurry."""
    while True:
        try:
            return await encoder.embed(inputs)
        except Overloaded as error:
            await asyncio.sleep(error.retry_after_seconds)


def _input(stored: StoredInput) -> Input:
    content = stored.source.content
    return TextInput(content.decode()) if stored.source.kind == "text" else ImageInput(content)


def _moved(spec: CollectionSpec, encoder: Encoder) -> CollectionSpec:
    """The spec of the next generation."""
    manifest = encoder.manifest
    return CollectionSpec.new(
        spec.name,
        encoder=manifest.name,
        fingerprint=manifest.fingerprint,
        dimension=manifest.dimension,
        vector_dtype=spec.vector_dtype,
        store_inputs=True,
        recall_target=spec.recall_target,
    )


def _checked_total(collection: Collection) -> int:
    """How many items there are to embed again.

    Raises:
        CannotServe: not all of their sources were kept.

    """
    name = collection.spec.name
    if not collection.spec.store_inputs:
        message = f"collection {name} keeps no sources to embed again; one made with store_inputs: true does"
        raise CannotServe(message, param="name")
    if missing := collection.reader.without_input():
        message = f"{missing} items of collection {name} were sent as vectors or tokens: no source was kept of them"
        raise CannotServe(message, param="name")
    return collection.reader.count()
