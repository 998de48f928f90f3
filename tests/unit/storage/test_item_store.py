"""The SQLite file: what is written is read back, and what cannot be read says why."""

import sqlite3
import stat

import numpy as np
import pytest

from simila.domain.errors import CollectionUnavailable, DuplicateId, InvalidInput, StorageFailed
from simila.domain.results import Item
from simila.storage.item_store import SCHEMA_VERSION, CollectionSpec, ItemStore

SPEC = CollectionSpec("shoes", "all-minilm-l6-v2", "ab" * 32, 3, "2025-01-31T12:00:00+00:00")
EAST = np.array([1, 0, 0], dtype=np.float32)
NORTH = np.array([0, 1, 0], dtype=np.float32)
SLANTED = np.array([0.6, -0.8, 1e-30], dtype=np.float32)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "items.sqlite"


@pytest.fixture
def store(path):
    store = ItemStore.create(path, SPEC)
    yield store
    store.close()


def sql(path, statement, *values):
    connection = sqlite3.connect(path, isolation_level=None)
    rows = connection.execute(statement, values).fetchall()
    connection.close()
    return rows


def test_an_item_comes_back_as_it_was_written(store):
    store.upsert([Item("a", SLANTED, "heel", {"price": 12.5, "tags": ["é", None, "\ud800"]})])
    stored = store.get("a")
    assert stored.sequence == 1
    assert stored.item.vector.tobytes() == SLANTED.tobytes()
    assert stored.item.vector.dtype == np.float32
    assert (stored.item.label, stored.item.payload) == ("heel", {"price": 12.5, "tags": ["é", None, "\ud800"]})


@pytest.mark.parametrize("item_id", ["'; DROP TABLE items; --", "nul\0byte", "", "日本", "a" * 10_000])
def test_any_id_is_only_data(store, item_id):
    store.upsert([Item(item_id, EAST), Item("other", NORTH)])
    assert store.get(item_id).item.id == item_id
    assert store.upsert([Item(item_id, NORTH)]).replaced.tolist() == [1]
    assert store.delete(item_id) == 3
    assert [stored.item.id for stored in store.page(0, 10)] == ["other"]


def test_no_payload_and_an_empty_one_differ(store):
    store.upsert([Item("none", EAST), Item("empty", EAST, payload={})])
    assert store.get("none").item.payload is None
    assert store.get("empty").item.payload == {}


def test_an_upsert_replaces_under_a_new_sequence(store):
    first = store.upsert([Item("a", EAST, "old"), Item("b", EAST)])
    second = store.upsert([Item("c", NORTH), Item("a", NORTH, "new")])
    assert (first.sequences.tolist(), first.replaced.tolist()) == ([1, 2], [])
    assert (second.sequences.tolist(), second.replaced.tolist()) == ([3, 4], [1])
    assert second.sequences.dtype == second.replaced.dtype == np.int64
    assert [(s.sequence, s.item.id, s.item.label) for s in store.page(0, 10)] == [
        (2, "b", None),
        (3, "c", None),
        (4, "a", "new"),
    ]


def test_no_sequence_is_given_twice(store, path):
    store.upsert([Item("a", EAST)])
    assert store.delete("a") == 1
    store.close()
    reopened = ItemStore.open(path)
    assert reopened.last_sequence == 1
    assert reopened.upsert([Item("b", EAST)]).sequences.tolist() == [2]
    reopened.close()


def test_what_is_not_there_is_none(store):
    assert store.get("a") is None
    assert store.delete("a") is None
    assert store.fetch([1]) == {}
    assert store.page(0, 10) == []
    assert list(store.scan(10)) == []
    assert store.last_sequence == 0


def test_items_are_fetched_by_sequence(store):
    store.upsert([Item("a", EAST), Item("b", NORTH), Item("c", EAST)])
    fetched = store.fetch([3, 1, 99])
    assert {sequence: stored.item.id for sequence, stored in fetched.items()} == {1: "a", 3: "c"}


def test_pages_follow_on_while_writes_go_on(store):
    store.upsert([Item(name, EAST) for name in "abc"])
    first = store.page(0, 2)
    store.upsert([Item("a", NORTH)])
    second = store.page(first[-1].sequence, 2)
    assert [s.item.id for s in first] == ["a", "b"]
    assert [s.item.id for s in second] == ["c", "a"]
    assert store.page(second[-1].sequence, 2) == []


@pytest.mark.parametrize("chunk_rows", [1, 2, 3, 100])
def test_a_scan_reads_every_item_once(store, chunk_rows):
    store.upsert([Item("a", EAST, "x"), Item("b", NORTH), Item("c", SLANTED, "y"), Item("d", NORTH)])
    store.delete("b")
    chunks = list(store.scan(chunk_rows))
    assert all(len(chunk.sequences) <= chunk_rows for chunk in chunks)
    assert np.concatenate([chunk.sequences for chunk in chunks]).tolist() == [1, 3, 4]
    vectors = np.concatenate([chunk.vectors for chunk in chunks])
    assert vectors.tobytes() == np.stack([EAST, SLANTED, NORTH]).tobytes()
    assert [label for chunk in chunks for label in chunk.labels] == ["x", "y", None]


def test_an_id_given_twice_is_refused_whole(store):
    with pytest.raises(DuplicateId):
        store.upsert([Item("a", EAST), Item("a", NORTH)])
    assert store.get("a") is None


@pytest.mark.parametrize("payload", [{"price": float("nan")}, {"raw": b"bytes"}])
def test_a_payload_that_is_not_json_is_refused_whole(store, payload):
    with pytest.raises(InvalidInput, match="item 'b' is not JSON"):
        store.upsert([Item("a", EAST), Item("b", EAST, payload=payload)])
    assert store.get("a") is None


def test_a_full_disk_is_an_error_and_rolls_back(store):
    store.upsert([Item("a", EAST, "kept")])
    (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageFailed, match="full"):
        store.upsert([Item("a", NORTH, "lost"), Item("b", EAST, payload={"text": "x" * 100_000})])
    assert store.get("a").item.label == "kept"
    assert store.get("b") is None
    store._connection.execute("PRAGMA max_page_count = 1000000")
    assert store.upsert([Item("b", EAST)]).sequences.tolist() == [2]


def test_an_acknowledged_write_does_not_wait_for_close(store, path, tmp_path):
    store.upsert([Item("a", SLANTED, "x")])
    # The files as a killed process would leave them: the log is not folded into the database yet.
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in (path, path.with_name("items.sqlite-wal")):
        (copy / file.name).write_bytes(file.read_bytes())
    reopened = ItemStore.open(copy / path.name)
    assert reopened.get("a").item.vector.tobytes() == SLANTED.tobytes()
    reopened.close()


def test_every_commit_waits_for_the_disk(store, path):
    assert store._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store.close()
    reopened = ItemStore.open(path)
    assert reopened._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    reopened.close()


def test_all_files_are_private(store, path):
    store.upsert([Item("a", EAST)])
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"items.sqlite": 0o600, "items.sqlite-wal": 0o600, "items.sqlite-shm": 0o600}


def test_the_spec_is_kept(store, path):
    store.close()
    reopened = ItemStore.open(path)
    assert reopened.spec == SPEC
    reopened.close()


@pytest.mark.usefixtures("store")
def test_a_file_is_never_created_over_another(path):
    with pytest.raises(StorageFailed, match="shoes cannot be created"):
        ItemStore.create(path, SPEC)


@pytest.mark.parametrize(
    ("statement", "cause"),
    [
        (f"PRAGMA user_version = {SCHEMA_VERSION + 1}", "newer Simila"),
        ("PRAGMA user_version = 0", "not a collection of Simila"),
        ("DROP TABLE items", "no such table: items"),
        ("DROP TABLE collection", "no such table: collection"),
        ("DELETE FROM collection", "does not say which encoder"),
        ("ALTER TABLE items DROP COLUMN label", "no such column: label"),
    ],
)
def test_another_schema_is_refused_with_the_cause(store, path, statement, cause):
    store.close()
    sql(path, statement)
    with pytest.raises(CollectionUnavailable, match=cause):
        ItemStore.open(path)


@pytest.mark.parametrize(
    ("content", "cause"), [(b"", "not a collection"), (b"plain text" * 1000, "file is not a database")]
)
def test_a_file_that_is_no_database_is_refused(path, content, cause):
    path.write_bytes(content)
    with pytest.raises(CollectionUnavailable, match=cause):
        ItemStore.open(path)


def test_a_missing_file_is_refused_and_not_made(path):
    with pytest.raises(CollectionUnavailable, match="unable to open"):
        ItemStore.open(path)
    assert not path.exists()


@pytest.mark.parametrize("offset_fraction", [0.1, 0.3, 0.6, 0.95])
def test_an_overwritten_page_is_noticed(store, path, offset_fraction):
    store.upsert([Item(str(number), EAST, payload={"n": number}) for number in range(2000)])
    store.close()
    content = bytearray(path.read_bytes())
    page = int(len(content) * offset_fraction) // 4096 * 4096
    content[page : page + 4096] = b"\x5a" * 4096
    path.write_bytes(content)
    with pytest.raises(CollectionUnavailable, match="restore it from a backup"):
        ItemStore.open(path)


def test_a_truncated_file_is_noticed(store, path):
    store.upsert([Item(str(number), EAST) for number in range(2000)])
    store.close()
    path.write_bytes(path.read_bytes()[:-8192])
    with pytest.raises(CollectionUnavailable):
        ItemStore.open(path)


@pytest.mark.parametrize(
    ("blob", "cause"),
    [(b"", "3 dimensions"), (b"\0" * 11, "3 dimensions"), (b"\0" * 16, "3 dimensions"), (b"\xff" * 12, "not finite")],
)
def test_a_vector_that_is_none_is_noticed(store, path, blob, cause):
    store.upsert([Item("a", EAST), Item("b", EAST)])
    sql(path, "UPDATE items SET vector = ? WHERE id = 'b'", blob)
    with pytest.raises(CollectionUnavailable, match=cause):
        list(store.scan(10))
    with pytest.raises(CollectionUnavailable, match=cause):
        store.get("b")
    assert store.get("a").item.id == "a"


def test_a_payload_that_is_no_longer_json_is_noticed(store, path):
    store.upsert([Item("a", EAST, payload={})])
    sql(path, "UPDATE items SET payload = '{' WHERE id = 'a'")
    with pytest.raises(CollectionUnavailable, match="payload of item 'a' is not JSON"):
        store.get("a")
