"""A collection: writes are searchable at once, and the store is the truth."""

import sqlite3

import numpy as np
import pytest

from simila.domain.errors import CollectionUnavailable, InvalidVector, StorageFailed, UnknownCollection
from simila.domain.results import Hit, Item
from simila.domain.vectors import unit_rows
from simila.index.collection import Collection
from simila.storage.item_store import CollectionSpec, ItemStore

SPEC = CollectionSpec("shoes", "all-minilm-l6-v2", "ab" * 32, 3, "2025-01-31T12:00:00+00:00")
COSINE_TOLERANCE = 1e-6
EAST, NORTH, UP = np.eye(3, dtype=np.float32)
NORTHEAST = unit_rows((EAST + NORTH)[np.newaxis])[0]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "items.sqlite"
    ItemStore.create(path, SPEC).close()
    return path


@pytest.fixture
def collection(path):
    collection = Collection.open(path)
    yield collection
    collection.close()


def ids(hits):
    return [hit.id for hit in hits]


def test_the_nearest_come_first_with_what_was_stored(collection):
    collection.upsert([Item("n", NORTH, "cold", {"km": 1}), Item("e", EAST), Item("u", UP)])
    hits = collection.search(unit_rows((3 * NORTH + 2 * EAST)[np.newaxis])[0], 2)
    assert hits == [
        Hit("n", pytest.approx(3 / 13**0.5, abs=COSINE_TOLERANCE), "cold", {"km": 1}),
        Hit("e", pytest.approx(2 / 13**0.5, abs=COSINE_TOLERANCE), None, None),
    ]


def test_equals_come_from_the_oldest(collection):
    collection.upsert([Item(name, EAST) for name in "dbca"])
    collection.upsert([Item("b", EAST)])
    assert ids(collection.search(EAST, 10)) == ["d", "c", "a", "b"]


def test_as_many_come_as_are_asked_for_or_there_are(collection):
    collection.upsert([Item(str(number), NORTHEAST) for number in range(5)])
    assert [len(collection.search(EAST, limit)) for limit in (1, 4, 5, 6, 1000)] == [1, 4, 5, 5, 5]


def test_an_empty_collection_has_no_neighbours(collection):
    assert collection.search(EAST, 5) == []
    assert collection.labelled_vectors().vectors.shape == (0, 3)
    assert collection.upsert([]) == 0


def test_a_threshold_is_the_lowest_cosine_that_matches(collection):
    collection.upsert([Item("e", EAST), Item("ne", NORTHEAST), Item("n", NORTH), Item("w", -EAST)])
    assert ids(collection.search(EAST, 10, score_threshold=0.7)) == ["e", "ne"]
    assert ids(collection.search(EAST, 10, score_threshold=0.0)) == ["e", "ne", "n"]
    assert ids(collection.search(EAST, 10)) == ["e", "ne", "n", "w"]


def test_an_excluded_item_makes_room_for_another(collection):
    collection.upsert([Item("e", EAST), Item("ne", NORTHEAST), Item("n", NORTH)])
    assert ids(collection.search(EAST, 2, exclude_id="e")) == ["ne", "n"]
    assert ids(collection.search(EAST, 3, exclude_id="e")) == ["ne", "n"]
    assert ids(collection.search(EAST, 2, exclude_id="unknown")) == ["e", "ne"]


def test_no_cosine_is_above_one(collection):
    vectors = unit_rows(np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32))
    collection.upsert([Item(str(number), vector) for number, vector in enumerate(vectors)])
    best = [collection.search(vector, 1)[0].score for vector in vectors]
    assert max(best) == 1.0
    assert min(best) == pytest.approx(1.0, abs=COSINE_TOLERANCE)


def test_an_upsert_replaces(collection):
    assert collection.upsert([Item("a", EAST, "old"), Item("b", UP)]) == 2
    assert collection.upsert([Item("a", NORTH, "new", {"v": 2})]) == 3
    assert ids(collection.search(EAST, 10)) == ["b", "a"]
    assert collection.search(NORTH, 1) == [Hit("a", 1.0, "new", {"v": 2})]
    assert collection.get("a").sequence == 3


def test_a_deleted_item_is_gone(collection):
    collection.upsert([Item("a", EAST, "x"), Item("b", NORTH, "x")])
    assert collection.delete("a")
    assert not collection.delete("a")
    assert collection.get("a") is None
    assert ids(collection.search(EAST, 10)) == ["b"]
    assert [stored.item.id for stored in collection.page(0, 10)] == ["b"]
    assert collection.labelled_vectors().vectors.tolist() == [NORTH.tolist()]


def test_labelled_vectors_are_the_examples_as_stored(collection):
    collection.upsert([Item("a", EAST, "x"), Item("b", UP), Item("c", NORTHEAST, "y"), Item("d", NORTH, "x")])
    collection.upsert([Item("a", UP, "y"), Item("d", NORTH)])
    labelled = collection.labelled_vectors()
    assert labelled.labels == ["y", "y"]
    assert labelled.vectors.tobytes() == np.stack([NORTHEAST, UP]).tobytes()


def test_labelled_vectors_are_computed_once_between_writes(collection):
    collection.upsert([Item("a", EAST, "x")])
    first = collection.labelled_vectors()
    collection.search(EAST, 1)
    assert collection.labelled_vectors() is first
    collection.upsert([Item("b", NORTH, "y")])
    assert collection.labelled_vectors().labels == ["x", "y"]
    collection.delete("a")
    assert collection.labelled_vectors().labels == ["y"]
    assert first.labels == ["x"]


def test_statistics_count_items_and_labels(collection):
    collection.upsert([Item("a", EAST, "x"), Item("b", UP), Item("c", EAST, "y"), Item("d", EAST, "x")])
    collection.delete("c")
    statistics = collection.statistics()
    assert (statistics.items, statistics.labels, statistics.last_sequence) == (3, {"x": 2}, 4)


@pytest.mark.parametrize("closed", [True, False])
def test_a_restart_keeps_everything(collection, path, closed):
    collection.upsert([Item("a", EAST, "x", {"k": [1]}), Item("b", NORTH), Item("c", UP, "z")])
    collection.upsert([Item("a", NORTHEAST, "y", {"k": [2]})])
    collection.delete("b")
    before = collection.search(NORTHEAST, 10), collection.statistics(), collection.page(0, 10)[-1].item.payload
    if closed:
        collection.close()
    reopened = Collection.open(path)
    assert (reopened.search(NORTHEAST, 10), reopened.statistics(), reopened.page(0, 10)[-1].item.payload) == before
    assert reopened.labelled_vectors().vectors.tobytes() == np.stack([UP, NORTHEAST]).tobytes()
    assert reopened.spec == SPEC
    reopened.close()


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        (np.ones(4, dtype=np.float32), "'b': the vector has 4 dimensions; the vectors of collection shoes have 3"),
        (np.eye(3, dtype=np.float32), "'b': the vector has 3 x 3 dimensions"),
        (np.array([np.nan, 0, 1], dtype=np.float32), "'b': the vector has a value that is not finite"),
    ],
)
def test_a_vector_of_another_space_is_refused_whole(collection, vector, message):
    with pytest.raises(InvalidVector, match=message):
        collection.upsert([Item("a", EAST), Item("b", vector)])
    assert collection.statistics().items == 0


@pytest.mark.parametrize("query", [np.ones(2, dtype=np.float32), np.array([0, np.inf, 0], dtype=np.float32)])
def test_a_query_of_another_space_is_refused(collection, query):
    with pytest.raises(InvalidVector, match="the query has"):
        collection.search(query, 1)


def test_a_refused_write_leaves_store_and_index_alike(collection):
    collection.upsert([Item("a", EAST)])
    (pages,) = collection._store._connection.execute("PRAGMA page_count").fetchone()
    collection._store._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageFailed):
        collection.upsert([Item("a", NORTH, payload={"text": "x" * 100_000})])
    assert collection.search(EAST, 10) == [Hit("a", 1.0, None, None)]


def test_an_index_that_fails_half_way_is_built_anew(collection, monkeypatch):
    collection.upsert([Item("a", EAST), Item("b", NORTH)])

    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(collection._derived.index, "add", fail)
    with pytest.raises(MemoryError):
        collection.upsert([Item("a", UP, "x")])
    # SQLite has committed: the item that was written is found.
    assert collection.search(UP, 1) == [Hit("a", 1.0, "x", None)]
    assert ids(collection.search(EAST, 10)) == ["b", "a"]
    assert collection.statistics().labels == {"x": 1}


def test_a_file_that_breaks_while_open_is_reported(collection, path):
    collection.upsert([Item("a", EAST, payload={})])
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE items SET payload = '{'")
    connection.close()
    with pytest.raises(CollectionUnavailable, match="not JSON"):
        collection.search(EAST, 1)


def test_a_closed_collection_answers_no_more(path):
    collection = Collection.open(path)
    collection.close()
    for use in (
        lambda: collection.upsert([Item("a", EAST)]),
        lambda: collection.delete("a"),
        lambda: collection.get("a"),
        lambda: collection.page(0, 1),
        lambda: collection.search(EAST, 1),
        collection.labelled_vectors,
        collection.statistics,
    ):
        with pytest.raises(UnknownCollection, match="shoes is closed"):
            use()
