import asyncio
import sqlite3
import threading
from dataclasses import replace

import numpy as np
import pytest

from memory_vectors import unit_vectors
from simila.domain.errors import CollectionUnavailable, Conflict, InvalidBackup, StorageFailed, UnknownCollection
from simila.index.catalogue import Catalogue
from simila.index.collection import SearchQuery
from simila.services.backups import BackupService
from simila.storage.collection_file import CollectionSpec
from simila.storage.item_writes import UpsertArrays

SPEC = CollectionSpec.new("shoes", encoder="e", fingerprint="f1", dimension=256)
VECTORS = unit_vectors(1, 100, 256)


@pytest.fixture
def catalogue(tmp_path):
    catalogue = Catalogue(tmp_path)
    collection, _ = catalogue.create(SPEC)
    ids, payloads = [f"i{n}" for n in range(100)], [f'{{"n":{n}}}' for n in range(100)]
    collection.write(UpsertArrays(ids, VECTORS, ["heel"] * 100, payloads)).result()
    yield catalogue
    catalogue.close()


@pytest.fixture
def service(catalogue):
    return BackupService(catalogue)


def made(service, name="shoes"):
    with asyncio.run(service.make(name)) as file:
        return file.read()


def restore(service, name, content, *, replace=False):
    async def parts():
        for start in range(0, len(content), 1000):
            yield content[start : start + 1000]

    return asyncio.run(service.restore(name, parts(), replace=replace))


def names(tmp_path):
    return sorted(entry.name for entry in tmp_path.iterdir())


def test_a_backup_comes_back_under_another_name_with_the_same_fingerprint(service, catalogue, tmp_path):
    assert not restore(service, "boots", made(service))
    boots = catalogue.get("boots")
    assert (boots.spec.name, boots.spec.fingerprint, boots.reader.count()) == ("boots", "f1", 100)
    np.testing.assert_array_equal(boots.reader.vectors(np.arange(1, 101))[1], VECTORS)
    assert names(tmp_path) == ["boots", "shoes"]
    catalogue.close()
    assert Catalogue(tmp_path).get("boots").reader.count() == 100


def test_a_backup_that_is_made_has_no_name_on_the_disk(service, tmp_path):
    file = asyncio.run(service.make("shoes"))
    assert names(tmp_path) == ["shoes"]
    file.close()


def test_a_backup_that_cannot_be_made_leaves_nothing(service, tmp_path):
    with pytest.raises(UnknownCollection):
        asyncio.run(service.make("boots"))
    assert names(tmp_path) == ["shoes"]


def test_a_client_that_leaves_leaves_nothing(service, tmp_path):
    async def parts():
        yield b"SQLite format 3"
        raise ConnectionAbortedError

    with pytest.raises(StorageFailed):
        asyncio.run(service.restore("boots", parts(), replace=False))
    assert names(tmp_path) == ["shoes"]


def test_no_byte_is_taken_for_a_collection_that_may_not_be_replaced(service):
    async def parts():
        pytest.fail("a byte was asked for")
        yield b""

    with pytest.raises(Conflict):
        asyncio.run(service.restore("shoes", parts(), replace=False))


def flipped(content, position):
    damaged = bytearray(content)
    damaged[position] ^= 0x10
    return bytes(damaged)


@pytest.mark.parametrize("part", [VECTORS[7].tobytes()[:32], b"i42", b"heel", b'{"n":7}', b"f1"])
def test_a_flipped_bit_in_what_is_stored_is_found(service, part):
    content = made(service)
    with pytest.raises(InvalidBackup, match=r"^the file cannot be restored: "):
        restore(service, "boots", flipped(content, content.index(part)))


def test_a_flipped_bit_anywhere_is_found_or_in_free_space(service, catalogue, tmp_path):
    content = made(service)
    for position in range(0, len(content), 1499):
        try:
            restore(service, "shoes", flipped(content, position), replace=True)
        except InvalidBackup:
            continue
        shoes = catalogue.get("shoes")
        np.testing.assert_array_equal(shoes.reader.vectors(np.arange(1, 101))[1], VECTORS)
        assert [row.id for row in shoes.reader.page(0, 200)] == [f"i{n}" for n in range(100)]
        assert replace(shoes.spec, store_id="") == replace(SPEC, store_id="")
    assert names(tmp_path) == ["shoes"]


def test_a_collection_that_cannot_be_read_is_replaced_by_its_backup(service, catalogue, tmp_path):
    content = made(service)
    catalogue.close()
    (items,) = tmp_path.glob("shoes/*/items.sqlite")
    items.write_bytes(b"no database")
    again = Catalogue(tmp_path)
    with pytest.raises(CollectionUnavailable):
        again.get("shoes")
    assert restore(BackupService(again), "shoes", content, replace=True)
    assert again.get("shoes").reader.count() == 100
    again.close()


def test_a_stranger_s_trigger_is_refused(service, tmp_path):
    path = tmp_path / "backup"
    path.write_bytes(made(service))
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TRIGGER t AFTER INSERT ON items BEGIN DELETE FROM items; END")
    connection.close()
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(InvalidBackup, match="it holds triggers or views"):
        restore(service, "boots", content)


def test_searches_and_writes_go_on_while_a_collection_is_replaced(service, catalogue):
    content = made(service)
    stop, faults, refusals = threading.Event(), [], set()

    def search():
        assert len(catalogue.get("shoes").search(SearchQuery(VECTORS[:1], 10)).hits[0]) == 10

    def write():
        catalogue.get("shoes").write(UpsertArrays(["written"], VECTORS[:1])).result()

    def repeat(work):
        while not stop.is_set():
            try:
                work()
            except CollectionUnavailable as error:
                refusals.add(error.message)
            except BaseException as error:
                faults.append(error)
                raise

    threads = [threading.Thread(target=repeat, args=(work,)) for work in (search, write)]
    for thread in threads:
        thread.start()
    replaced = [restore(service, "shoes", content, replace=True) for _ in range(5)]
    stop.set()
    for thread in threads:
        thread.join()
    assert (replaced, faults) == ([True] * 5, [])
    assert refusals <= {"collection shoes was replaced meanwhile; send this again"}
    stored = {row.id for row in catalogue.get("shoes").reader.page(0, 1000)}
    assert stored - {"written"} == {f"i{n}" for n in range(100)}
