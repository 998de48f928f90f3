"""One file that holds a collection as it was at one moment, and is not believed unchecked."""

import sqlite3
import stat
import threading
from contextlib import closing

import numpy as np
import pytest

from simila.domain.errors import CollectionUnavailable, InvalidBackup, StorageFailed
from simila.domain.results import Item
from simila.storage.backup import check_backup, restore_backup
from simila.storage.collection_file import CollectionSpec
from simila.storage.collection_store import CollectionStore
from simila.storage.item_rows import Source
from simila.storage.item_writes import DeclarePayloadIndex, Delete, Upsert, UpsertArrays

EAST = np.array([1, 0, 0], dtype=np.float32)
SPEC = CollectionSpec.new("shoes", encoder="e", fingerprint="f", dimension=3, store_inputs=True)
ITEMS = 500


@pytest.fixture
def store(tmp_path):
    with closing(CollectionStore.create(tmp_path / "items.sqlite", SPEC)) as store:
        items = [Item(f"item{number}", EAST, f"l{number % 2}", {"n": number}) for number in range(ITEMS)]
        store.submit(Upsert(items, [Source("text", b"source")] * ITEMS)).result()
        yield store


@pytest.fixture
def backup(store, tmp_path):
    path = tmp_path / "shoes.backup"
    store.backup_to(path)
    return path


def sql(path, statement, *values):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(statement, values).fetchall()


def test_a_backup_is_checked_and_says_what_it_holds(store, backup, tmp_path):
    contents = check_backup(backup)
    assert (contents.spec, contents.items) == (SPEC, ITEMS)
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert sorted(file.name for file in tmp_path.iterdir() if "backup" in file.name) == ["shoes.backup"]
    assert store.backup_to(backup) == contents


def test_a_restored_collection_is_the_same_under_its_own_name_and_store_id(store, backup, tmp_path):
    store.submit(Delete(["item0"])).result()
    spec = restore_backup(backup, tmp_path / "restored.sqlite", "boots")
    assert (spec.name, spec.fingerprint) == ("boots", SPEC.fingerprint)
    assert spec.store_id != SPEC.store_id
    with closing(CollectionStore.open(tmp_path / "restored.sqlite")) as restored:
        assert restored.spec == spec
        assert restored.reader.page(1, ITEMS) == store.reader.page(0, ITEMS)
        assert restored.reader.inputs(1, ITEMS) == store.reader.inputs(0, ITEMS)
        assert restored.reader.get("item0").item.payload == {"n": 0}
        assert restored.submit(Upsert([Item("new", EAST)])).result().sequences.tolist() == [ITEMS + 1]
        assert sql(tmp_path / "restored.sqlite", "PRAGMA auto_vacuum") == [(2,)]


def test_payload_indexes_are_restored_too(store, tmp_path):
    store.submit(DeclarePayloadIndex("n")).result()
    store.backup_to(tmp_path / "backup")
    restore_backup(tmp_path / "backup", tmp_path / "restored.sqlite", "boots")
    with closing(CollectionStore.open(tmp_path / "restored.sqlite")) as restored:
        assert restored.reader.payload_indexes() == ["n"]


def test_a_backup_is_of_one_moment_while_writes_go_on(store, tmp_path):
    # Each write replaces the same ten items, all with the same label: a backup that mixes two writes shows.
    stop = threading.Event()
    ids = [f"moving{number}" for number in range(10)]
    vectors = np.tile(EAST, (10, 1))

    def write():
        number = 0
        while not stop.is_set():
            store.submit(UpsertArrays(ids, vectors, [f"w{number}"] * 10)).result()
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            store.backup_to(tmp_path / f"backup{number}")
    finally:
        stop.set()
        writer.join()
    for number in range(5):
        contents = check_backup(tmp_path / f"backup{number}")
        labels = {label for (label,) in sql(tmp_path / f"backup{number}", "SELECT label FROM items WHERE id > 'm'")}
        assert contents.items in (ITEMS, ITEMS + 10)
        assert len(labels) <= 1


@pytest.mark.parametrize(
    ("statement", "cause"),
    [
        ("UPDATE vectors SET vector = zeroblob(12) WHERE sequence = 7", "a vector fails its checksum"),
        ("UPDATE vectors SET vector = zeroblob(8) WHERE sequence = 7", "3 dimensions"),
        ("UPDATE items SET label = 'other' WHERE sequence = 7", r"item 'item6' \(sequence 7\) fails its checksum"),
        ("UPDATE inputs SET content = x'00' WHERE sequence = 7", "source of sequence 7 fails its checksum"),
        ("DELETE FROM vectors WHERE sequence = 7", "items and vectors do not match"),
        ("DELETE FROM items WHERE sequence = 500", "items and vectors do not match"),
        ("DELETE FROM inputs WHERE sequence = 7", "digests differ"),
        ("DELETE FROM class_sums WHERE label = 'l1'", "the sum of class 'l1' is not that of its items"),
        ("UPDATE class_sums SET total = zeroblob(32) WHERE label = 'l1'", "the sum of class 'l1' fails its checksum"),
        ("UPDATE class_sums SET total = zeroblob(8) WHERE label = 'l1'", "class sum of another dimension"),
        ("UPDATE collection SET fingerprint = 'other'", "digests differ"),
        ("UPDATE backup SET items = 3", "digests differ"),
        ("DELETE FROM backup", "digest is missing"),
        ("DROP TABLE backup", "no such table: backup"),
    ],
)
def test_a_changed_backup_is_refused_with_the_cause_and_leaves_nothing(backup, tmp_path, statement, cause):
    sql(backup, statement)
    with pytest.raises(CollectionUnavailable, match=cause):
        check_backup(backup)
    with pytest.raises(InvalidBackup, match=cause):
        restore_backup(backup, tmp_path / "restored.sqlite", "boots")
    assert not (tmp_path / "restored.sqlite").exists()


def test_a_vector_of_nan_is_refused_although_its_checksum_is_right(store, tmp_path):
    nan = np.full(3, np.nan, dtype=np.float32).tobytes()
    (checksum,) = SPEC.codec.checksums(nan)
    sql(tmp_path / "items.sqlite", "UPDATE vectors SET vector = ?, checksum = ? WHERE sequence = 7", nan, checksum)
    with pytest.raises(CollectionUnavailable, match="not finite"):
        store.backup_to(tmp_path / "backup")


@pytest.mark.parametrize("offset_fraction", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_an_overwritten_page_is_refused(backup, offset_fraction):
    content = bytearray(backup.read_bytes())
    page = int(len(content) * offset_fraction) // 8192 * 8192
    content[page : page + 8192] = b"\x5a" * 8192
    backup.write_bytes(content)
    with pytest.raises(CollectionUnavailable):
        check_backup(backup)


@pytest.mark.parametrize("content", [b"", b"plain text" * 1000])
def test_a_file_that_is_no_backup_is_refused(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(CollectionUnavailable):
        check_backup(tmp_path / "file")


def test_a_missing_backup_is_refused(tmp_path):
    with pytest.raises(CollectionUnavailable, match="unable to open"):
        check_backup(tmp_path / "none")
    with pytest.raises(StorageFailed, match="No such file"):
        restore_backup(tmp_path / "none", tmp_path / "restored.sqlite", "boots")
    assert not (tmp_path / "restored.sqlite").exists()


def test_a_truncated_backup_is_refused(backup):
    backup.write_bytes(backup.read_bytes()[:-8192])
    with pytest.raises(CollectionUnavailable):
        check_backup(backup)


def test_a_damaged_collection_is_not_backed_up_over_a_good_backup(store, backup, tmp_path):
    good = backup.read_bytes()
    sql(tmp_path / "items.sqlite", "UPDATE vectors SET vector = zeroblob(12) WHERE sequence = 7")
    with pytest.raises(CollectionUnavailable, match="fails its checksum"):
        store.backup_to(backup)
    assert backup.read_bytes() == good


def test_a_folder_that_is_not_there_is_an_error_of_the_target(store, tmp_path):
    with pytest.raises(StorageFailed, match="backup cannot be written"):
        store.backup_to(tmp_path / "none" / "backup")


def test_nothing_is_restored_over_a_file(backup, tmp_path):
    with pytest.raises(StorageFailed, match="File exists"):
        restore_backup(backup, tmp_path / "items.sqlite", "boots")
