"""What each write does to the items, and what it says that it did."""

from contextlib import closing

import numpy as np
import pytest

from memory_vectors import unit_vectors
from simila.domain.errors import DuplicateId, InvalidInput, InvalidVector
from simila.domain.results import Item
from simila.storage.collection_file import CollectionSpec
from simila.storage.collection_store import CollectionStore
from simila.storage.item_rows import Source
from simila.storage.item_table import PIECE_ROWS
from simila.storage.item_writes import (
    DeclarePayloadIndex,
    Delete,
    DeleteWhere,
    DropPayloadIndex,
    Upsert,
    UpsertArrays,
)
from simila.storage.where import Where

EAST = np.array([1, 0, 0], dtype=np.float32)
NORTH = np.array([0, 1, 0], dtype=np.float32)
SLANTED = np.array([0.6, -0.8, 1e-30], dtype=np.float32)


def make_store(tmp_path, **options):
    spec = CollectionSpec.new("shoes", encoder="e", fingerprint="f", dimension=3, **options)
    return CollectionStore.create(tmp_path / "items.sqlite", spec)


@pytest.fixture
def store(tmp_path):
    with closing(make_store(tmp_path)) as store:
        yield store


def done(store, operation):
    return store.submit(operation).result(timeout=30)


def ids(store):
    return [(row.sequence, row.id) for row in store.reader.page(0, 1000)]


def test_an_item_comes_back_as_it_was_written(store):
    done(store, Upsert([Item("a", SLANTED, "heel", {"price": 12.5, "tags": ["é", None, 2**70]})]))
    stored = store.reader.get("a")
    assert stored.sequence == 1
    assert stored.item.vector.tobytes() == SLANTED.tobytes()
    assert stored.item.vector.dtype == np.float32
    assert (stored.item.label, stored.item.payload) == ("heel", {"price": 12.5, "tags": ["é", None, 2**70]})


@pytest.mark.parametrize("item_id", ["'; DROP TABLE items; --", "nul\0byte", "\0", "", "日本", '"', "a" * 10_000])
def test_any_id_is_only_data(store, item_id):
    done(store, Upsert([Item(item_id, EAST), Item("other", NORTH), Item("nul", NORTH)]))
    assert store.reader.get(item_id).item.id == item_id
    assert done(store, Upsert([Item(item_id, NORTH)])).replaced.tolist() == [1]
    deleted = done(store, Delete([item_id]))
    assert (deleted.ids, deleted.sequences.tolist()) == ([item_id], [4])
    assert ids(store) == [(2, "other"), (3, "nul")]


def test_nothing_and_empty_differ(store):
    done(store, Upsert([Item("none", EAST), Item("empty", EAST, "", {})]))
    none, empty = store.reader.page(0, 2)
    assert (none.label, none.payload) == (None, None)
    assert (empty.label, empty.payload) == ("", {})


def test_an_upsert_replaces_under_a_new_sequence(store):
    first = done(store, Upsert([Item("a", EAST, "old"), Item("b", EAST)]))
    second = done(store, Upsert([Item("c", NORTH), Item("a", NORTH, "new")]))
    assert (first.sequences.tolist(), first.replaced.tolist()) == ([1, 2], [])
    assert (second.sequences.tolist(), second.replaced.tolist()) == ([3, 4], [1])
    assert second.sequences.dtype == second.replaced.dtype == np.int64
    assert ids(store) == [(2, "b"), (3, "c"), (4, "a")]
    assert store.reader.get("a").item.label == "new"
    assert store.reader.vectors(np.array([1, 4]))[0].tolist() == [4]


def test_no_sequence_is_given_twice(tmp_path):
    with closing(make_store(tmp_path)) as store:
        done(store, Upsert([Item("a", EAST)]))
        assert done(store, Delete(["a"])).sequences.tolist() == [1]
    with closing(CollectionStore.open(tmp_path / "items.sqlite")) as reopened:
        assert reopened.reader.last_sequence() == 1
        assert done(reopened, Upsert([Item("b", EAST)])).sequences.tolist() == [2]


def test_columns_are_written_in_pieces_as_one(store):
    count = 2 * PIECE_ROWS + 3
    vectors = unit_vectors(0, count, 3)
    names = [f"item{number}" for number in range(count)]
    written = done(store, UpsertArrays(names, vectors, [f"l{number % 2}" for number in range(count)]))
    assert written.sequences.tolist() == list(range(1, count + 1))
    found, stored = store.reader.vectors(written.sequences)
    assert np.array_equal(found, written.sequences)
    assert stored.tobytes() == vectors.tobytes()
    assert store.reader.by_sequence([count])[count].id == names[-1]
    again = done(store, UpsertArrays(names[::-1], vectors[::-1]))
    assert sorted(again.replaced.tolist()) == list(range(1, count + 1))
    assert store.reader.count() == count


def test_payload_texts_are_kept_as_filters_expect_them(store):
    done(store, UpsertArrays(["a", "b"], np.stack([EAST, NORTH]), payloads_json=['{ "\\u00e9" : [1.0, 2] }', None]))
    assert store.reader.get("a").item.payload == {"é": [1.0, 2]}
    assert store.reader.count(Where("""items.payload = '{"é":[1.0,2]}'""")) == 1
    assert store.reader.get("b").item.payload is None


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_change_holds_the_vectors_that_will_be_read(tmp_path, dtype):
    with closing(make_store(tmp_path, vector_dtype=dtype)) as store:
        seen = []
        store.on_commit = seen.extend
        done(store, Upsert([Item("a", SLANTED, "x"), Item("b", NORTH)]))
        done(store, Upsert([Item("b", EAST)]))
        done(store, Delete(["a"]))
        assert [change.sequences.tolist() for change in seen] == [[1, 2], [3], []]
        assert [change.removed.tolist() for change in seen] == [[], [2], [1]]
        assert seen[0].labels == ["x", None]
        assert seen[1].vectors.tobytes() == store.reader.vectors(np.array([3]))[1].tobytes()
        assert seen[2].vectors.shape == (0, 3)


@pytest.mark.parametrize(
    ("operation", "error", "cause"),
    [
        (Upsert([Item("a", EAST), Item("a", NORTH)]), DuplicateId, "same id"),
        (Upsert([Item("a", EAST[:2])]), InvalidVector, "item 'a': the vector has 2 dimensions, not 3"),
        (Upsert([Item("a", np.array([np.inf, 0, 0], dtype=np.float32))]), InvalidVector, "not finite"),
        (Upsert([Item("a", EAST, payload={"price": float("nan")})]), InvalidInput, "item 'a' is not JSON"),
        (Upsert([Item("a", EAST, payload={"raw": b"bytes"})]), InvalidInput, "item 'a' is not JSON"),
        (Upsert([Item("\ud800", EAST)]), InvalidInput, "not Unicode"),
        (Upsert([Item("a", EAST, payload={"half": "\ud800"})]), InvalidInput, "not Unicode"),
        (UpsertArrays(["a"], np.zeros((2, 3), np.float32)), InvalidVector, "2 x 3 values are no 1 vectors of 3"),
        (UpsertArrays(["a"], EAST[None], ["x", "y"]), InvalidInput, "2 labels for 1 ids"),
        (UpsertArrays(["a"], EAST[None], payloads_json=["{"]), InvalidInput, "item 'a' is not JSON"),
        (UpsertArrays(["a"], EAST[None], payloads_json=["[1]"]), InvalidInput, "item 'a' is no JSON object"),
        (UpsertArrays(["a"], EAST[None], payloads_json=[]), InvalidInput, "0 payloads_json for 1 ids"),
    ],
)
def test_what_is_malformed_is_refused_whole(store, operation, error, cause):
    with pytest.raises(error, match=cause):
        store.submit(operation)
    assert store.reader.count() == 0


def test_sources_are_kept_where_the_collection_keeps_them(tmp_path):
    with closing(make_store(tmp_path, store_inputs=True)) as store:
        sources = [Source("text", "é".encode()), None, Source("image", b"\0\xff\xfe"), Source("image", b"")]
        done(store, Upsert([Item(name, EAST) for name in "abcd"], sources))
        kept = [(stored.sequence, stored.source) for stored in store.reader.inputs(0, 10)]
        assert kept == [(1, sources[0]), (3, sources[2]), (4, sources[3])]
        done(store, Delete(["c"]))
        assert [stored.sequence for stored in store.reader.inputs(1, 10)] == [4]


def test_sources_are_not_kept_where_the_collection_does_not(store):
    done(store, Upsert([Item("a", EAST)], [Source("text", b"a")]))
    assert store.reader.inputs(0, 10) == []


def test_deleting_passes_over_what_is_not_there(store):
    done(store, Upsert([Item(name, EAST) for name in "abc"]))
    deleted = done(store, Delete(["c", "x", "a", "c", "\ud800"]))
    assert (deleted.ids, deleted.sequences.tolist()) == (["a", "c"], [1, 3])
    assert done(store, Delete(["a"])).ids == []
    assert done(store, Delete([])).ids == []
    assert ids(store) == [(2, "b")]


def test_what_matches_is_forgotten(store):
    done(store, Upsert([Item(name, EAST, label) for name, label in zip("abcd", "xyxy", strict=True)]))
    deleted = done(store, DeleteWhere(Where("(items.label = ?)", ("x",))))
    assert (deleted.ids, deleted.sequences.tolist()) == (["a", "c"], [1, 3])
    assert ids(store) == [(2, "b"), (4, "d")]
    assert store.reader.sequences().tolist() == [2, 4]


def test_a_payload_index_is_declared_and_dropped_once(store):
    done(store, Upsert([Item("a", EAST, payload={"price": 3})]))
    assert done(store, DeclarePayloadIndex("price")) is True
    assert done(store, DeclarePayloadIndex("price")) is False
    assert done(store, DeclarePayloadIndex("a.b")) is True
    assert store.reader.payload_indexes() == ["a.b", "price"]
    assert done(store, DropPayloadIndex("price")) is True
    assert done(store, DropPayloadIndex("price")) is False
    assert store.reader.payload_indexes() == ["a.b"]
