"""Reads: what was asked for, in the order asked for, and no damaged byte of it."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from simila.domain.errors import CollectionUnavailable
from simila.domain.results import Item
from simila.storage.collection_file import CollectionSpec
from simila.storage.collection_store import CollectionStore
from simila.storage.item_reader import ItemReader
from simila.storage.item_rows import Source
from simila.storage.item_writes import Delete, Upsert
from simila.storage.where import Where

EAST = np.array([1, 0, 0], dtype=np.float32)
NORTH = np.array([0, 1, 0], dtype=np.float32)
SLANTED = np.array([0.6, -0.8, 0], dtype=np.float32)
ITEMS = [Item("a", EAST, "x", {"n": 1}), Item("b", NORTH), Item("c", SLANTED, "y", {"n": 3}), Item("d", NORTH, "x")]
LABEL_X = Where("(items.label IS ?)", ("x",))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "items.sqlite"


@pytest.fixture
def store(path):
    spec = CollectionSpec.new("shoes", encoder="e", fingerprint="f", dimension=3, store_inputs=True)
    with closing(CollectionStore.create(path, spec)) as store:
        store.submit(Upsert(ITEMS, [Source("text", b"source of a"), None, None, None])).result()
        yield store


@pytest.fixture
def reader(store) -> ItemReader:
    return store.reader


def test_what_is_not_there_is_left_out(reader):
    assert reader.get("z") is None
    assert reader.get("\ud800") is None
    assert reader.by_sequence([]) == reader.by_sequence([99]) == {}
    found, vectors = reader.vectors(np.array([99]))
    assert (found.tolist(), vectors.shape) == ([], (0, 3))
    assert reader.page(4, 10) == []
    assert list(reader.scan(4, 10)) == []
    assert reader.matching(Where("0")).tolist() == []
    assert reader.matching(Where("0")).dtype == np.int64


def test_an_empty_collection_is_read_too(tmp_path):
    spec = CollectionSpec.new("empty", encoder="e", fingerprint="f", dimension=3)
    with closing(CollectionStore.create(tmp_path / "empty.sqlite", spec)) as empty:
        assert empty.reader.last_sequence() == empty.reader.count() == 0
        assert empty.reader.label_counts() == {}
        assert empty.reader.sequences().tolist() == []


def test_items_are_found_by_sequence(reader):
    found = reader.by_sequence(np.array([3, 1, 99]))
    assert {sequence: (row.id, row.label, row.payload) for sequence, row in found.items()} == {
        1: ("a", "x", {"n": 1}),
        3: ("c", "y", {"n": 3}),
    }


def test_vectors_come_in_the_order_asked_for(reader):
    found, vectors = reader.vectors(np.array([3, 99, 1, 2, 1]))
    assert found.tolist() == [3, 1, 2, 1]
    assert vectors.tobytes() == np.stack([SLANTED, EAST, NORTH, EAST]).tobytes()


def test_more_vectors_than_are_read_at_once_come_in_order(reader, monkeypatch):
    monkeypatch.setattr("simila.storage.item_reader._VECTORS_AT_ONCE", 2)
    found, vectors = reader.vectors(np.array([4, 3, 99, 98, 1]))
    assert found.tolist() == [4, 3, 1]
    assert vectors.tobytes() == np.stack([NORTH, SLANTED, EAST]).tobytes()


def test_pages_follow_on_while_writes_go_on(store, reader):
    first = reader.page(0, 3)
    store.submit(Upsert([Item("a", NORTH)])).result()
    assert [row.id for row in first] == ["a", "b", "c"]
    assert [row.id for row in reader.page(first[-1].sequence, 3)] == ["d", "a"]


def test_pages_hold_what_matches(reader):
    assert [row.id for row in reader.page(0, 1, LABEL_X)] == ["a"]
    assert [row.id for row in reader.page(1, 10, LABEL_X)] == ["d"]


@pytest.mark.parametrize("chunk_rows", [1, 2, 3, 100])
def test_a_scan_reads_every_item_once(store, reader, chunk_rows):
    store.submit(Delete(["b"])).result()
    chunks = list(reader.scan(0, chunk_rows))
    assert all(len(chunk.sequences) <= chunk_rows for chunk in chunks)
    assert np.concatenate([chunk.sequences for chunk in chunks]).tolist() == [1, 3, 4]
    assert np.concatenate([c.vectors for c in chunks]).tobytes() == np.stack([EAST, SLANTED, NORTH]).tobytes()
    assert [label for chunk in chunks for label in chunk.labels] == ["x", "y", "x"]


def test_a_scan_begins_after_a_sequence(reader):
    assert [chunk.sequences.tolist() for chunk in reader.scan(2, 10)] == [[3, 4]]


def test_sequences_that_match(reader):
    assert reader.sequences().tolist() == [1, 2, 3, 4]
    assert reader.matching(LABEL_X).tolist() == [1, 4]
    assert reader.matching(LABEL_X, limit=1).tolist() == [1]
    assert reader.matching_among([4, 3, 99, 1], LABEL_X).tolist() == [4, 1]
    assert reader.matching_among([], LABEL_X).tolist() == []


def test_counts(reader):
    assert (reader.count(), reader.count(LABEL_X), reader.count(Where("0"))) == (4, 2, 0)
    assert reader.label_counts() == {"x": 2, "y": 1}
    assert reader.last_sequence() == 4


def damage(path, statement, *values):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement, values)


def flipped(content, bit):
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


@pytest.mark.parametrize("bit", [0, 40, 95])
def test_a_flipped_bit_in_a_vector_is_found_by_every_read_of_it(path, reader, bit):
    damage(path, "UPDATE vectors SET vector = ? WHERE sequence = 2", flipped(NORTH.tobytes(), bit))
    for read in (
        lambda: reader.get("b"),
        lambda: reader.vectors(np.array([1, 2])),
        lambda: list(reader.scan(0, 10)),
    ):
        with pytest.raises(CollectionUnavailable, match="vector of sequence 2 fails its checksum"):
            read()
    with pytest.raises(CollectionUnavailable, match="vector of sequence 2 fails its checksum"):
        reader.count()  # which looks at no checksum, and might be wrong


@pytest.mark.parametrize("blob", [b"", b"\0" * 11, b"\0" * 16])
def test_a_vector_of_another_length_is_found(path, reader, blob):
    damage(path, "UPDATE vectors SET vector = ? WHERE sequence = 2", blob)
    with pytest.raises(CollectionUnavailable, match="3 dimensions"):
        reader.vectors(np.array([1, 2]))


@pytest.mark.parametrize("change", ["id = 'B'", "label = 'x'", "label = ''", "payload = '{}'"])
def test_a_changed_item_is_found_by_every_read_of_it(path, reader, change):
    damage(path, f"UPDATE items SET {change} WHERE sequence = 2")
    for read in (lambda: reader.by_sequence([1, 2]), lambda: reader.page(0, 10)):
        with pytest.raises(CollectionUnavailable, match=r"\(sequence 2\) fails its checksum"):
            read()
    with pytest.raises(CollectionUnavailable, match=r"\(sequence 2\) fails its checksum"):
        reader.matching(Where("items.label = 'x'"))  # which looks at no checksum, and might be wrong


def test_a_text_that_is_no_longer_utf8_is_found(path, reader):
    damage(path, "UPDATE items SET label = CAST(x'ff' AS TEXT) WHERE sequence = 2")
    with pytest.raises(CollectionUnavailable, match="UTF-8"):
        reader.page(0, 10)


def test_a_changed_source_is_found(path, reader):
    damage(path, "UPDATE inputs SET content = x'00'")
    with pytest.raises(CollectionUnavailable, match="source of sequence 1 fails its checksum"):
        reader.inputs(0, 10)


def test_a_read_does_not_wait_for_a_writer(store, reader):
    connection = store._writer._connection
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DELETE FROM items")
    assert [row.id for row in reader.page(0, 10)] == ["a", "b", "c", "d"]
    connection.execute("ROLLBACK")
