"""A collection's file: what it says of itself, and the ways in which it is refused."""

import sqlite3
import stat
from contextlib import closing

import numpy as np
import pytest

from simila.domain.errors import CollectionUnavailable, StorageFailed
from simila.domain.results import Item
from simila.storage.collection_file import SCHEMA_VERSION, CollectionSpec
from simila.storage.collection_store import CollectionStore
from simila.storage.item_writes import Upsert, UpsertArrays

SPEC = CollectionSpec(
    "shoes", "0a" * 16, "all-minilm-l6-v2", "ab" * 32, 3, "float32", True, 0.9, "2025-01-31T12:00:00+00:00"
)
EAST = np.array([1, 0, 0], dtype=np.float32)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "items.sqlite"


def make(path, items=1):
    store = CollectionStore.create(path, SPEC)
    vectors = np.tile(EAST, (items, 1))
    payloads = [f'{{"n":{number}}}' for number in range(items)]
    store.submit(UpsertArrays([str(number) for number in range(items)], vectors, payloads_json=payloads)).result()
    store.close()


def sql(path, statement):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(statement).fetchall()


def test_the_spec_is_kept(path):
    make(path)
    with closing(CollectionStore.open(path)) as store:
        assert store.spec == SPEC
        assert store.spec.store_inputs is True


def test_two_collections_of_one_name_have_different_store_ids():
    first, second = (CollectionSpec.new("a", encoder="e", fingerprint="f", dimension=3) for _ in range(2))
    assert first.store_id != second.store_id
    assert (first.vector_dtype, first.store_inputs, first.recall_target) == ("float32", False, 0.95)


def test_all_files_are_private(path):
    with closing(CollectionStore.create(path, SPEC)) as store:
        store.submit(Upsert([Item("a", EAST)])).result()
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        assert modes == {"items.sqlite": 0o600, "items.sqlite-wal": 0o600, "items.sqlite-shm": 0o600}
        assert store.disk_bytes() == sum(file.stat().st_size for file in path.parent.iterdir())


def test_a_file_is_never_created_over_another(path):
    make(path)
    with pytest.raises(StorageFailed, match="shoes cannot be created"):
        CollectionStore.create(path, SPEC)


@pytest.mark.parametrize(
    ("dimension", "page_bytes"), [(3, 8192), (384, 8192), (768, 16384), (1024, 32768), (2048, 65536)]
)
def test_pages_are_as_large_as_whole_vectors_need_to_fill_them(path, dimension, page_bytes):
    CollectionStore.create(path, CollectionSpec.new("a", encoder="e", fingerprint="f", dimension=dimension)).close()
    assert sql(path, "PRAGMA page_size") == [(page_bytes,)]


@pytest.mark.parametrize(
    ("statement", "cause"),
    [
        (f"PRAGMA user_version = {SCHEMA_VERSION + 1}", "newer Simila"),
        ("PRAGMA user_version = 0", "not a collection of this version"),
        ("DROP TABLE items", "no such table: items"),
        ("DROP TABLE vectors", "no such table: vectors"),
        ("DROP TABLE collection", "no such table: collection"),
        ("DELETE FROM collection", "does not say which encoder"),
        ("ALTER TABLE items DROP COLUMN payload", "no such column: payload"),
    ],
)
def test_another_schema_is_refused_with_the_cause(path, statement, cause):
    make(path)
    sql(path, statement)
    with pytest.raises(CollectionUnavailable, match=cause):
        CollectionStore.open(path)


@pytest.mark.parametrize(
    ("content", "cause"), [(b"", "not a collection"), (b"plain text" * 1000, "file is not a database")]
)
def test_a_file_that_is_no_database_is_refused(path, content, cause):
    path.write_bytes(content)
    with pytest.raises(CollectionUnavailable, match=cause):
        CollectionStore.open(path)


def test_a_missing_file_is_refused_and_not_made(path):
    with pytest.raises(CollectionUnavailable, match="unable to open"):
        CollectionStore.open(path)
    assert not path.exists()


def test_a_truncated_file_is_refused(path):
    make(path, items=2000)
    path.write_bytes(path.read_bytes()[:-8192])
    with pytest.raises(CollectionUnavailable, match="malformed"):
        CollectionStore.open(path)


@pytest.mark.parametrize("offset_fraction", [0.2, 0.4, 0.6, 0.8, 0.95])
def test_an_overwritten_page_is_noticed_at_the_latest_when_all_are_read(path, offset_fraction):
    make(path, items=5000)
    content = bytearray(path.read_bytes())
    page = int(len(content) * offset_fraction) // 8192 * 8192
    content[page : page + 8192] = b"\x5a" * 8192
    path.write_bytes(content)

    def opened_and_checked():
        with closing(CollectionStore.open(path)) as store:
            store.check_pages()

    with pytest.raises(CollectionUnavailable, match="restore it from a backup"):
        opened_and_checked()


def test_a_sound_file_passes_the_check_of_all_pages(path):
    make(path, items=2000)
    with closing(CollectionStore.open(path)) as store:
        store.check_pages()
        assert store.reader.count() == 2000


def test_a_log_that_a_killed_process_left_is_read(path, tmp_path):
    with closing(CollectionStore.create(path, SPEC)) as store:
        store.submit(Upsert([Item("a", EAST)])).result()
        copy = tmp_path / "copy"
        copy.mkdir()
        for file in (path, path.with_name("items.sqlite-wal")):
            (copy / file.name).write_bytes(file.read_bytes())
    with closing(CollectionStore.open(copy / path.name)) as store:
        assert store.reader.get("a").item.vector.tobytes() == EAST.tobytes()
