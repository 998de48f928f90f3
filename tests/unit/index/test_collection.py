"""A collection: writes are searchable at once, and the store is the truth."""

import sqlite3

import numpy as np
import pytest

from memory_vectors import unit_vectors
from simila.domain.errors import CollectionUnavailable, InvalidVector, StorageFailed, UnknownCollection
from simila.domain.results import Hit, Item
from simila.domain.vectors import unit_rows
from simila.index.collection import ITEMS_FILE, Collection, SearchQuery
from simila.index.filters import compile_filter
from simila.index.view import View
from simila.storage.collection_file import CollectionSpec
from simila.storage.item_rows import Source
from simila.storage.item_writes import DeclarePayloadIndex, Delete, DeleteWhere, Upsert
from small_collections import ENCODER, HeldExecutor, ids, nearest, new_folder

SPEC = CollectionSpec.new("shoes", dimension=3, **ENCODER)
COSINE_TOLERANCE = 1e-6
EAST, NORTH, UP = np.eye(3, dtype=np.float32)
NORTHEAST = unit_rows((EAST + NORTH)[np.newaxis])[0]


@pytest.fixture
def folder(tmp_path):
    return new_folder(tmp_path, SPEC)


@pytest.fixture
def collection(folder):
    collection = opened(folder)
    yield collection
    collection.close()


def opened(folder):
    return Collection.open(folder, executor=HeldExecutor())


def upsert(collection, *items, sources=None):
    return collection.write(Upsert(items, sources)).result()


def delete(collection, *item_ids):
    return collection.write(Delete(item_ids)).result()


def test_the_nearest_come_first_with_what_was_stored(collection):
    upsert(collection, Item("n", NORTH, "cold", {"km": 1}), Item("e", EAST), Item("u", UP))
    assert nearest(collection, unit_rows((3 * NORTH + 2 * EAST)[np.newaxis])[0], 2) == [
        Hit("n", pytest.approx(3 / 13**0.5, abs=COSINE_TOLERANCE), "cold", '{"km":1}', 1),
        Hit("e", pytest.approx(2 / 13**0.5, abs=COSINE_TOLERANCE), None, None, 2),
    ]


def test_each_query_has_its_own_hits(collection):
    upsert(collection, Item("e", EAST), Item("n", NORTH), Item("u", UP))
    result = collection.search(SearchQuery(np.stack([3 * EAST + NORTH, EAST + 3 * NORTH]) / 10**0.5, 2))
    assert [ids(hits) for hits in result.hits] == [["e", "n"], ["n", "e"]]


def test_equals_come_from_the_oldest(collection):
    upsert(collection, *(Item(name, EAST) for name in "dbca"))
    upsert(collection, Item("b", EAST))
    assert ids(nearest(collection, EAST, 10)) == ["d", "c", "a", "b"]


def test_as_many_come_as_are_asked_for_or_there_are(collection):
    upsert(collection, *(Item(str(number), NORTHEAST) for number in range(5)))
    assert [len(nearest(collection, EAST, limit)) for limit in (1, 4, 5, 6, 1000)] == [1, 4, 5, 5, 5]


def test_an_empty_collection_has_no_neighbours(collection):
    assert nearest(collection, EAST, 5) == []
    assert nearest(collection, EAST, 5, where=compile_filter({"km": 1})) == []
    assert upsert(collection).sequences.tolist() == []
    assert nearest(collection, EAST, 5, exact=True) == []


def test_an_excluded_item_makes_room_for_another(collection):
    upsert(collection, Item("e", EAST), Item("ne", NORTHEAST), Item("n", NORTH))
    assert ids(nearest(collection, EAST, 2, excluded_ids=("e",))) == ["ne", "n"]
    assert ids(nearest(collection, EAST, 3, excluded_ids=("e", "e"))) == ["ne", "n"]
    assert ids(nearest(collection, EAST, 2, excluded_ids=("unknown",))) == ["e", "ne"]


def test_no_cosine_is_above_one(collection):
    vectors = unit_vectors(0, 200, 3)
    upsert(collection, *(Item(str(number), vector) for number, vector in enumerate(vectors)))
    best = [nearest(collection, vector, 1)[0].score for vector in vectors]
    assert max(best) == 1.0
    assert min(best) == pytest.approx(1.0, abs=COSINE_TOLERANCE)


def test_an_upsert_replaces(collection):
    assert upsert(collection, Item("a", EAST, "old"), Item("b", UP)).sequences.tolist() == [1, 2]
    written = upsert(collection, Item("a", NORTH, "new", {"v": 2}))
    assert (written.sequences.tolist(), written.replaced.tolist()) == ([3], [1])
    assert ids(nearest(collection, EAST, 10)) == ["b", "a"]
    assert nearest(collection, NORTH, 1) == [Hit("a", 1.0, "new", '{"v":2}', 3)]
    assert collection.reader.get("a").sequence == 3


def test_a_deleted_item_is_gone(collection):
    upsert(collection, Item("a", EAST, "x"), Item("b", NORTH, "x"))
    assert delete(collection, "a", "unknown").ids == ["a"]
    assert delete(collection, "a").ids == []
    assert collection.reader.get("a") is None
    assert ids(nearest(collection, EAST, 10)) == ["b"]
    assert [row.id for row in collection.reader.page(0, 10)] == ["b"]


def test_items_are_deleted_by_a_filter(collection):
    upsert(collection, *(Item(str(number), NORTHEAST, payload={"n": number}) for number in range(10)))
    deleted = collection.write(DeleteWhere(compile_filter({"n": {"$gte": 3}}))).result()
    assert (deleted.ids, deleted.sequences.tolist()) == ([str(n) for n in range(3, 10)], list(range(4, 11)))
    assert ids(nearest(collection, EAST, 10)) == ["0", "1", "2"]


def test_the_version_grows_with_each_write(collection):
    versions = [collection.version]
    for operation in (Upsert([Item("a", EAST)]), Delete(["a"]), DeclarePayloadIndex("km")):
        collection.write(operation).result()
        versions.append(collection.version)
    assert versions == sorted(set(versions))


def test_statistics_count_items_and_labels(collection):
    upsert(collection, Item("a", EAST, "x"), Item("b", UP), Item("c", EAST, "y"), Item("d", EAST, "x"))
    delete(collection, "c")
    collection.write(DeclarePayloadIndex("km")).result()
    statistics = collection.statistics()
    assert (statistics.items, statistics.labels, statistics.last_sequence) == (3, {"x": 2}, 4)
    assert statistics.payload_indexes == ["km"]
    index = statistics.index
    assert (index.kind, index.head_rows, index.deleted_rows, index.problem) == ("flat", 4, 1, None)


def test_statistics_pass_over_a_file_that_goes_meanwhile(collection, folder):
    before = collection.statistics().disk_bytes
    (folder / "body-0.faiss").symlink_to(folder / "gone")
    assert collection.statistics().disk_bytes == before > 0


@pytest.mark.parametrize("closed", [True, False])
def test_a_restart_keeps_everything(collection, folder, closed):
    upsert(collection, Item("a", EAST, "x", {"k": [1]}), Item("b", NORTH), Item("c", UP, "z"))
    upsert(collection, Item("a", NORTHEAST, "y", {"k": [2]}))
    delete(collection, "b")
    before = nearest(collection, NORTHEAST, 10), collection.reader.page(0, 10), collection.statistics().labels
    if closed:
        collection.close()
    reopened = opened(folder)
    after = nearest(reopened, NORTHEAST, 10), reopened.reader.page(0, 10), reopened.statistics().labels
    assert after == before
    assert reopened.spec == SPEC
    reopened.close()


def test_float16_vectors_are_found_as_they_are_kept(tmp_path):
    spec = CollectionSpec.new("halves", dimension=24, vector_dtype="float16", **ENCODER)
    vectors, query = unit_vectors(0, 300, 24), unit_vectors(1, 1, 24)[0]
    collection = opened(new_folder(tmp_path, spec))
    upsert(collection, *(Item(str(number), vector) for number, vector in enumerate(vectors)))
    before = nearest(collection, query, 300)
    collection.close()
    collection = opened(tmp_path / "halves")
    kept = {hit.id: collection.reader.get(hit.id).item.vector for hit in before}
    assert nearest(collection, query, 300) == before
    np.testing.assert_allclose([hit.score for hit in before], [v @ query for v in kept.values()], atol=COSINE_TOLERANCE)
    np.testing.assert_allclose([kept[str(number)] for number in range(300)], vectors, atol=2**-11)
    np.testing.assert_allclose(np.linalg.norm(list(kept.values()), axis=1), 1, atol=COSINE_TOLERANCE)
    collection.close()


def test_sources_are_kept_where_the_collection_keeps_them(tmp_path, collection):
    spec = CollectionSpec.new("kept", dimension=3, store_inputs=True, **ENCODER)
    keeping = opened(new_folder(tmp_path, spec))
    texts = [Source("text", word.encode()) for word in ("red", "blue", "green")]
    for into in (keeping, collection):
        upsert(into, Item("a", EAST), Item("b", NORTH), Item("c", UP), sources=texts)
        upsert(into, Item("a", UP), sources=[Source("image", b"\xff\xd8")])
        delete(into, "c")
    inputs = [(stored.sequence, stored.source) for stored in keeping.reader.inputs(0, 10)]
    assert inputs == [(2, texts[1]), (4, Source("image", b"\xff\xd8"))]
    assert collection.reader.inputs(0, 10) == []
    keeping.close()


@pytest.mark.parametrize("vector", [np.ones(4, np.float32), np.eye(3, dtype=np.float32), np.float32([np.nan, 0, 1])])
def test_a_vector_of_another_space_is_refused_whole(collection, vector):
    with pytest.raises(InvalidVector):
        upsert(collection, Item("a", EAST), Item("b", vector))
    assert collection.statistics().items == 0


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (np.ones((1, 2), np.float32), "the query has 2 dimensions; the vectors of collection shoes have 3"),
        (np.float32([[0, 1, 0], [0, np.inf, 0]]), "the query has a value that is not finite"),
    ],
)
def test_a_query_of_another_space_is_refused(collection, query, message):
    with pytest.raises(InvalidVector, match=message):
        collection.search(SearchQuery(query, 1))


def test_a_refused_write_leaves_store_and_index_alike(collection):
    upsert(collection, Item("a", EAST))
    connection = collection._store._writer._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageFailed, match=r"collection shoes: nothing was written: .*full"):
        upsert(collection, Item("a", NORTH, payload={"text": "x" * 100_000}))
    assert nearest(collection, EAST, 10) == [Hit("a", 1.0, None, None, 1)]


def test_a_view_that_cannot_be_changed_is_made_anew(collection, monkeypatch):
    upsert(collection, Item("a", EAST), Item("b", NORTH))
    change = View.with_changes

    def fail_once(*_):
        monkeypatch.setattr(View, "with_changes", change)
        raise MemoryError

    monkeypatch.setattr(View, "with_changes", fail_once)
    upsert(collection, Item("a", UP, "x"))
    assert nearest(collection, UP, 1) == [Hit("a", 1.0, "x", None, 3)]
    assert ids(nearest(collection, EAST, 10)) == ["b", "a"]


def test_a_view_that_missed_a_write_is_made_anew_at_the_next(collection, monkeypatch):
    upsert(collection, Item("a", EAST))

    def fail(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(View, "with_changes", fail)
        with pytest.raises(MemoryError):
            upsert(collection, Item("b", NORTH))
    upsert(collection, Item("c", UP))
    assert ids(nearest(collection, NORTH, 10)) == ["b", "a", "c"]


def test_a_file_that_breaks_while_open_is_reported(collection, folder):
    upsert(collection, Item("a", EAST, payload={}))
    connection = sqlite3.connect(folder / ITEMS_FILE, isolation_level=None)
    connection.execute("UPDATE items SET payload = '{'")
    connection.close()
    with pytest.raises(CollectionUnavailable, match=r"'a' .*fails its checksum"):
        nearest(collection, EAST, 1)


def test_a_closed_collection_answers_no_more(folder):
    collection = opened(folder)
    upsert(collection, Item("a", EAST))
    collection.close()
    for use in (
        lambda: upsert(collection, Item("a", EAST)),
        lambda: delete(collection, "a"),
        lambda: collection.reader.get("a"),
        lambda: collection.reader.page(0, 1),
        lambda: nearest(collection, EAST, 1),
        lambda: nearest(collection, EAST, 1, where=compile_filter({})),
        collection.statistics,
        collection.check,
    ):
        with pytest.raises(UnknownCollection, match="shoes is closed"):
            use()
    collection.close()


def test_writes_that_wait_when_a_collection_closes_are_finished(folder):
    collection = opened(folder)
    writes = [collection.write(Upsert([Item(str(number), EAST)])) for number in range(20)]
    collection.close()
    assert [write.result().sequences.tolist() for write in writes] == [[number] for number in range(1, 21)]
    reopened = opened(folder)
    assert len(nearest(reopened, EAST, 30)) == 20
    reopened.close()
