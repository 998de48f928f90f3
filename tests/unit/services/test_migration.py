"""A collection moves into another encoder's space while it is written and searched; nothing is lost on the way."""

import asyncio

import numpy as np
import pytest

from simila.domain.errors import CannotServe, CollectionUnavailable, Conflict, UnknownCollection, UnknownEncoder
from simila.domain.inputs import ImageInput, TextInput, VectorInput
from simila.domain.manifest import Modality
from simila.engine.encoder import Encoder
from simila.index.catalogue import Catalogue
from simila.services import migration
from simila.services.collections import CollectionLimits, CollectionOptions, CollectionService
from simila.services.item_checks import ItemLimits, NewItem
from simila.services.migration import MigrationService
from simila.storage.item_writes import DeclarePayloadIndex, Delete
from unit.services.word_encoders import (
    DIMENSION,
    IMAGE,
    TEXT,
    ZERO_SHOT,
    Tower,
    direction,
    joint_encoder,
    manifest_of,
    pool_of,
)


class OtherTower(Tower):
    """Another space: the same directions, turned. Between two chunks it lets a test write."""

    def __init__(self):
        super().__init__()
        self.between_chunks = None

    async def embed(self, inputs, *, truncate):
        embedded = await super().embed(inputs, truncate=truncate)
        if self.between_chunks:
            await self.between_chunks(len(self.seen))
        embedded.vectors[:] = np.roll(embedded.vectors, 1, axis=1)
        return embedded


def turned(entry):
    return np.roll(direction(entry), 1)


@pytest.fixture
def other():
    return OtherTower()


@pytest.fixture
def pool(tower, other, tmp_path):
    manifest = manifest_of("newer", image=IMAGE, text=TEXT, zero_shot=ZERO_SHOT)
    newer = Encoder(manifest, {Modality.TEXT: other, Modality.IMAGE: other})
    pool = pool_of(tmp_path / "models", joint_encoder(tower), newer)
    yield pool
    pool.close()


@pytest.fixture
def service(pool, tmp_path, monkeypatch):
    monkeypatch.setattr(migration, "GRACE_SECONDS", 0.0)
    monkeypatch.setattr(migration, "CHUNK_ROWS", 4)
    catalogue = Catalogue(tmp_path / "collections")
    limits = CollectionLimits(ItemLimits(items=200, label_characters=100, payload_bytes=100), page=100)
    yield Service(CollectionService(pool, catalogue, limits), MigrationService(pool, catalogue), catalogue)
    catalogue.close()


class Service:
    def __init__(self, collections, migrations, catalogue):
        self.collections = collections
        self.migrations = migrations
        self.catalogue = catalogue

    async def fill(self, items, *, store_inputs=True):
        await self.collections.create("c", "words", CollectionOptions(store_inputs=store_inputs))
        await self.collections.upsert("c", items)

    async def migrated(self, name="c", encoder="newer"):
        await self.migrations.start(name, encoder)
        while self.migrations._tasks:
            await asyncio.gather(*self.migrations._tasks.values())
        return self.migrations.progress(name)

    def items(self):
        reader = self.catalogue.get("c").reader
        return {row.id: (row.label, row.payload, reader.get(row.id).item.vector) for row in reader.page(0, 1000)}


def words(count):
    return [NewItem(f"w{n}", TextInput(f"word {n}"), f"l{n % 3}", {"n": n}) for n in range(count)]


def test_all_items_come_along_in_the_new_space(service):
    async def run():
        await service.fill([*words(10), NewItem("photo", ImageInput(b"bytes"))])
        return await service.migrated()

    progress = asyncio.run(run())
    assert (progress.state, progress.items_done, progress.items_total, progress.error) == ("done", 11, 11, None)
    spec = service.catalogue.get("c").spec
    assert (spec.encoder, spec.store_inputs) == ("newer", True)
    items = service.items()
    assert {name: entry[:2] for name, entry in items.items()} == {
        **{f"w{n}": (f"l{n % 3}", {"n": n}) for n in range(10)},
        "photo": (None, None),
    }
    for n in range(10):
        np.testing.assert_array_equal(items[f"w{n}"][2], turned(f"word {n}"))
    np.testing.assert_array_equal(items["photo"][2], turned(b"bytes"))


def test_whoever_pages_through_the_items_misses_none(service):
    async def run():
        await service.fill(words(10))
        first = service.catalogue.get("c").reader.page(0, 4)
        await service.migrated()
        return first, service.catalogue.get("c").reader.page(first[-1].sequence, 100)

    first, rest = asyncio.run(run())
    assert {row.id for row in [*first, *rest]} == {f"w{n}" for n in range(10)}
    assert [row.id for row in rest] == [f"w{n}" for n in range(10)]  # some come again


def test_what_is_written_meanwhile_comes_along(service, other):
    async def write_between(embedded):
        if embedded == 4:  # w0 to w3 are on their way
            await service.collections.delete_item("c", "w1")
            await service.collections.upsert(
                "c", [NewItem("w2", TextInput("replaced")), NewItem("new", TextInput("new"))]
            )
            await service.collections.delete_item("c", "w7")

    other.between_chunks = write_between

    async def run():
        await service.fill(words(10))
        return await service.migrated()

    assert asyncio.run(run()).state == "done"
    items = service.items()
    assert sorted(items) == ["new", "w0", "w2", "w3", "w4", "w5", "w6", "w8", "w9"]
    np.testing.assert_array_equal(items["w2"][2], turned("replaced"))
    np.testing.assert_array_equal(items["new"][2], turned("new"))


def test_a_search_that_took_the_old_generation_may_finish(service, monkeypatch):
    monkeypatch.setattr(migration, "GRACE_SECONDS", 60.0)

    async def run():
        await service.fill(words(5))
        before = service.catalogue.get("c")
        await service.migrations.start("c", "newer")
        while service.migrations.progress("c").state == "running":  # noqa: ASYNC110  nothing else tells
            await asyncio.sleep(0)
        assert before.reader.count() == 5
        with pytest.raises(CollectionUnavailable, match="being switched to encoder newer"):
            before.write(DeclarePayloadIndex("n"))
        await service.migrations.close()
        with pytest.raises(CollectionUnavailable, match="was replaced meanwhile; send this again"):
            before.reader.count()

    asyncio.run(run())
    assert service.catalogue.get("c").spec.encoder == "newer"
    assert len(service.items()) == 5


def test_a_restart_has_the_new_generation_alone(service, tmp_path):
    async def run():
        await service.fill(words(6))
        service.catalogue.get("c").write(DeclarePayloadIndex("n")).result()
        await service.migrated()

    asyncio.run(run())
    service.catalogue.close()
    again = Catalogue(tmp_path / "collections")
    try:
        collection = again.get("c")
        assert (collection.spec.encoder, collection.reader.count()) == ("newer", 6)
        assert collection.reader.payload_indexes() == ["n"]
        assert sorted(entry.name for entry in (tmp_path / "collections" / "c").iterdir()) == sorted(
            ["current", collection.folder.name]
        )
    finally:
        again.close()


def test_a_collection_that_is_replaced_meanwhile_stays_replaced(service, other, tmp_path):
    async def restore_between(embedded):
        if embedded == 4:
            collection = service.catalogue.get("c")
            collection.backup_to(tmp_path / "backup")
            restored = service.catalogue.restore("c", tmp_path / "backup", replace=True)
            restored.write(Delete(["w0"])).result()

    other.between_chunks = restore_between

    async def run():
        await service.fill(words(10))
        return await service.migrated()

    assert asyncio.run(run()).state == "failed"
    assert service.catalogue.get("c").spec.encoder == "words"
    assert sorted(service.items()) == [f"w{n}" for n in range(1, 10)]


def test_an_item_that_the_new_encoder_refuses_leaves_all_as_it_was(service, other, tmp_path):
    other.bad = {"word 3"}

    async def run():
        await service.fill(words(10))
        return await service.migrated()

    progress = asyncio.run(run())
    assert (progress.state, progress.error) == ("failed", "item 'w3': cannot embed 'word 3'")
    assert service.catalogue.get("c").spec.encoder == "words"
    np.testing.assert_array_equal(service.items()["w5"][2], direction("word 5"))
    asyncio.run(service.collections.upsert("c", [NewItem("more", TextInput("more"))]))
    assert len(list((tmp_path / "collections" / "c").iterdir())) == 2


def test_a_vector_that_comes_meanwhile_ends_it(service, other):
    async def write_between(embedded):
        if embedded == 4:
            await service.collections.upsert("c", [NewItem("v", VectorInput([1.0] * DIMENSION))])

    other.between_chunks = write_between

    async def run():
        await service.fill(words(10))
        return await service.migrated()

    progress = asyncio.run(run())
    assert (progress.state, progress.error) == (
        "failed",
        "1 items of collection c were sent as vectors or tokens: no source was kept of them",
    )
    assert len(service.items()) == 11
    asyncio.run(service.collections.upsert("c", words(1)))


@pytest.mark.parametrize(
    ("items", "store_inputs", "name", "encoder", "error", "message"),
    [
        (words(1), True, "gone", "newer", UnknownCollection, "no collection 'gone'"),
        (words(1), True, "c", "gone", UnknownEncoder, "gone"),
        (words(1), True, "c", "words", Conflict, "holds vectors of this revision of words already"),
        (words(1), False, "c", "newer", CannotServe, "store_inputs: true"),
        (
            [NewItem("v", VectorInput([1.0] * DIMENSION))],
            True,
            "c",
            "newer",
            CannotServe,
            "1 items of collection c were",
        ),
    ],
    ids=["collection", "encoder", "same", "no sources", "vectors"],
)
def test_what_cannot_be_migrated_is_refused_at_once(service, items, store_inputs, name, encoder, error, message):
    asyncio.run(service.fill(items, store_inputs=store_inputs))
    with pytest.raises(error, match=message):
        asyncio.run(service.migrated(name, encoder))


def test_one_migration_at_a_time(service, other):
    async def run():
        await service.fill(words(3))
        other.hangs = True
        first = await service.migrations.start("c", "newer")
        assert await service.migrations.start("c", "newer") == first
        with pytest.raises(Conflict, match="is migrating to newer"):
            await service.migrations.start("c", "words")
        await service.migrations.close()

    asyncio.run(run())
    assert service.catalogue.get("c").spec.encoder == "words"
