"""Bodies come and go behind a collection; what is found stays right."""

import threading

import pytest

from grown_collections import DIMENSION, FLAT_ROWS, QUERIES, RECALL_TARGET, ROWS, SPEC, Grown, during_builds
from memory_vectors import clustered_vectors, unit_vectors
from simila.domain.results import Item
from simila.index import body_upkeep, tuning
from simila.index.collection import Collection, SearchQuery
from simila.index.filters import compile_filter
from simila.storage.item_writes import Delete, DeleteWhere, Upsert
from small_collections import HeldExecutor, nearest, new_folder

pytestmark = pytest.mark.usefixtures("small_bodies")


def test_a_body_that_is_due_is_built_once_and_takes_the_place_of_the_head(grown):
    assert (grown.index.kind, grown.index.head_rows) == ("flat", ROWS)
    grown.check()
    assert grown.executor.run() == 1
    index = grown.index
    assert (index.kind, index.head_rows, index.deleted_rows, index.building, index.problem) == (
        "hnsw-sq8",
        0,
        0,
        None,
        None,
    )
    assert index.measured.meets_target
    assert index.measured.recall_at_10["stored"] >= RECALL_TARGET
    grown.check()


def test_a_small_collection_has_no_body(tmp_path):
    grown = Grown(new_folder(tmp_path, SPEC))
    grown.upsert(range(FLAT_ROWS))
    assert not grown.executor.waiting
    grown.upsert([FLAT_ROWS])
    assert len(grown.executor.waiting) == 1
    grown.collection.close()


def test_the_progress_of_a_build_is_told(grown, monkeypatch):
    seen = []
    during_builds(monkeypatch, lambda: seen.append(grown.index.building))
    grown.executor.run()
    assert seen == [body_upkeep.BuildProgress("hnsw-sq8", ROWS, ROWS)]


def test_what_is_written_while_a_body_is_built_is_found_before_and_after(grown, monkeypatch):
    def write():
        grown.upsert(range(ROWS, ROWS + 200))  # new
        grown.upsert(range(50), seed=7)  # replaced
        grown.delete(range(100, 150))
        grown.delete(range(ROWS, ROWS + 50))
        grown.check()

    during_builds(monkeypatch, write)
    grown.executor.run()
    index = grown.index
    assert (index.kind, index.head_rows, index.deleted_rows) == ("hnsw-sq8", 200, 100)
    grown.check()
    assert grown.restarted().index == index


def test_writes_during_the_tuning_are_no_reason_to_refuse_a_body(grown, monkeypatch):
    """The true neighbours that a recall is measured by are deleted before the body is searched for them."""
    held_out = tuning._held_out

    def held_out_then_rewritten(*arguments):
        groups = held_out(*arguments)
        grown.upsert(range(ROWS // 2), seed=7)
        return groups

    monkeypatch.setattr(tuning, "_held_out", held_out_then_rewritten)
    grown.executor.waiting.popleft()()
    assert (grown.index.kind, grown.index.problem) == ("hnsw-sq8", None)
    grown.check()


def test_a_head_that_has_become_slow_joins_the_body(grown):
    grown.executor.run()
    grown.upsert(range(ROWS, ROWS + FLAT_ROWS))
    assert not grown.executor.waiting
    grown.upsert([ROWS + FLAT_ROWS])
    assert grown.index.head_rows == FLAT_ROWS + 1
    grown.check()
    assert grown.executor.run() == 1
    assert grown.index.head_rows == 0
    grown.check()


def test_a_head_that_is_a_quarter_of_all_joins_the_body_before_it_is_slow(grown):
    grown.executor.run()
    grown.upsert(range(ROWS, ROWS + ROWS // 3))
    few = grown.executor.run()
    grown.upsert(range(ROWS + ROWS // 3, ROWS + ROWS // 3 + 20))
    assert (few, grown.executor.run()) == (0, 1)
    assert (grown.index.kind, grown.index.head_rows) == ("hnsw-sq8", 0)
    grown.check()


def test_a_body_is_tuned_again_for_what_is_asked(grown):
    grown.executor.run()
    assert set(grown.index.measured.recall_at_10) == {"stored"}
    strange = unit_vectors(8, 256, DIMENSION)
    grown.collection.search(SearchQuery(strange[:255], 10))
    assert not grown.executor.waiting
    grown.collection.search(SearchQuery(strange[255:], 10))
    assert grown.executor.run() == 1
    assert set(grown.index.measured.recall_at_10) == {"stored", "outside"}
    assert min(grown.index.measured.recall_at_10.values()) >= RECALL_TARGET
    tuned = grown.index.measured
    grown.collection = grown.restarted().collection
    assert grown.index.measured == tuned
    grown.check()


def test_deleted_rows_are_dropped_when_they_are_many(grown):
    grown.executor.run()
    grown.delete(range(150))
    assert not grown.executor.waiting
    grown.delete([150])
    assert grown.index.deleted_rows == 151
    grown.check()
    assert grown.executor.run() == 1
    assert (grown.index.deleted_rows, grown.index.head_rows) == (0, 0)
    grown.check()


@pytest.mark.parametrize("left", [FLAT_ROWS, 5, 0])
def test_a_collection_that_has_become_small_gives_its_body_up(grown, left):
    grown.executor.run()
    grown.upsert(range(ROWS, ROWS + 3))
    grown.delete(range(ROWS + 3 - left))
    grown.executor.run()
    index = grown.index
    assert (index.kind, index.head_rows, index.deleted_rows) == ("flat", left, 0)
    assert not list(grown.folder.glob("body*"))
    if left:
        grown.check()
    again = grown.restarted()
    assert (again.index.kind, again.index.head_rows) == ("flat", left)
    again.collection.close()


def test_what_is_written_while_a_body_is_given_up_is_found(grown, monkeypatch):
    grown.executor.run()
    grown.delete(range(ROWS - 250))
    vectors, apply, committed = grown.collection.reader.vectors, grown.collection._store.on_commit, threading.Event()
    later = clustered_vectors(3, ROWS, DIMENSION)
    writes = [Upsert([Item(str(ROWS - 1), later[0]), Item("new", later[1])]), Delete([str(ROWS - 2)])]
    futures = []

    def vectors_after_writes(sequences):
        found = vectors(sequences)
        if not futures:
            futures.extend(grown.collection.write(operation) for operation in writes)
            committed.wait()
        return found

    def note_and_apply(changes):
        committed.set()
        apply(changes)

    grown.collection._store.on_commit = note_and_apply
    monkeypatch.setattr(grown.collection.reader, "vectors", vectors_after_writes)
    grown.executor.waiting.popleft()()
    for future in futures:
        future.result()
    assert grown.index.kind == "flat"
    del grown.model[str(ROWS - 2)], grown.model[str(ROWS - 1)]
    grown.model |= {str(ROWS - 1): later[0], "new": later[1]}
    grown.check()


def test_a_body_is_tuned_on_what_was_searched_for(grown):
    grown.collection.search(SearchQuery(unit_vectors(3, 30, DIMENSION), 10))
    grown.executor.run()
    assert set(grown.index.measured.recall_at_10) == {"stored", "outside"}


def test_a_body_is_tuned_on_vectors_of_another_modality(tmp_path):
    asked = []

    def synthetic_queries(spec):
        asked.append(spec)
        return unit_vectors(4, 20, DIMENSION)

    folder, executor = new_folder(tmp_path, SPEC), HeldExecutor()
    collection = Collection.open(folder, executor=executor, synthetic_queries=synthetic_queries)
    items = [Item(str(number), vector) for number, vector in enumerate(unit_vectors(0, ROWS, DIMENSION))]
    collection.write(Upsert(items)).result()
    executor.run()
    assert set(collection.statistics().index.measured.recall_at_10) == {"stored", "outside"}
    assert asked == [SPEC]
    collection.close()


def test_a_body_takes_no_more_memory_than_there_is(tmp_path):
    folder = new_folder(tmp_path, SPEC)
    grown = Grown(folder, memory_bytes=ROWS * 60)
    grown.upsert(range(ROWS))
    grown.executor.run()
    assert grown.index.kind == "ivf-sq8"
    assert grown.index.measured.bytes_per_vector <= 60
    grown.check()
    grown.collection.close()


def test_everything_may_be_deleted_while_a_body_is_built(grown, monkeypatch):
    def delete_all():
        grown.collection.write(DeleteWhere(compile_filter({}))).result()
        grown.model.clear()

    during_builds(monkeypatch, delete_all)
    grown.executor.run()
    assert nearest(grown.collection, QUERIES[0], 10) == []
    assert nearest(grown.collection, QUERIES[0], 10, exact=True) == []
    grown.upsert(range(20))
    assert len(nearest(grown.collection, QUERIES[0], 30)) == 20
