"""Bodies that cannot be built, saved or trusted, and collections that go while one is built."""

import shutil
from dataclasses import replace

import pytest

from grown_collections import DIMENSION, ROWS, SPEC, Grown, during_builds
from memory_vectors import unit_vectors
from simila.index import body_upkeep
from simila.index.collection import SearchQuery
from simila.storage.collection_file import CollectionSpec
from small_collections import ENCODER, new_folder

pytestmark = pytest.mark.usefixtures("small_bodies")


def test_no_body_is_used_that_misses_the_recall_target(tmp_path):
    spec = CollectionSpec.new("strict", dimension=DIMENSION, recall_target=1.1, **ENCODER)
    grown = Grown(new_folder(tmp_path, spec))
    grown.upsert(range(ROWS))
    assert grown.executor.run() == 1
    index = grown.index
    assert (index.kind, index.head_rows) == ("flat", ROWS)
    assert index.problem == "no index of these vectors meets the recall target of 1.1"
    grown.check()
    grown.upsert(range(ROWS, ROWS * 3 // 2))
    assert not grown.executor.waiting, "not before it has grown by half"
    grown.upsert([ROWS * 3 // 2])
    assert len(grown.executor.waiting) == 1
    grown.collection.close()


def test_a_build_that_fails_is_told_and_tried_again_later(grown, monkeypatch):
    def fail(*_):
        raise MemoryError("no memory for an index")

    with monkeypatch.context() as patch:
        patch.setattr(body_upkeep, "build_body", fail)
        grown.executor.run()
    assert (grown.index.kind, grown.index.problem) == ("flat", "no memory for an index")
    grown.check()
    grown.upsert(range(ROWS, 2 * ROWS))
    grown.executor.run()
    assert (grown.index.kind, grown.index.problem) == ("hnsw-sq8", None)
    grown.check()


def test_a_body_that_cannot_be_saved_serves_and_is_built_again_at_the_next_start(grown, monkeypatch):
    def refuse(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("simila.index.body_file.os.fsync", refuse)
        grown.executor.run()
    assert grown.index.kind == "hnsw-sq8"
    assert "No space left on device" in grown.index.problem
    assert not list(grown.folder.glob("body*"))
    grown.check()
    again = grown.restarted()
    assert again.index.kind == "flat"
    again.check()
    again.executor.run()
    assert (again.index.kind, again.index.problem) == ("hnsw-sq8", None)
    again.collection.close()


def test_a_closed_collection_builds_no_body(grown):
    grown.collection.close()
    grown.executor.run()
    assert not list(grown.folder.glob("body*"))


def test_a_collection_that_closes_while_its_body_is_built_saves_none(grown, monkeypatch):
    during_builds(monkeypatch, grown.collection.close)
    grown.executor.run()
    assert not list(grown.folder.glob("body*"))


def test_a_body_is_not_saved_where_another_collection_has_taken_the_name(grown, monkeypatch):
    """The folder is renamed and made anew after the build has published its body, and before it saves it."""
    published = body_upkeep.BodyUpkeep._published

    def lose_the_folder(upkeep, body):
        published(upkeep, body)
        grown.collection.close()
        shutil.rmtree(grown.folder)
        new_folder(grown.folder.parent, SPEC)

    monkeypatch.setattr(body_upkeep.BodyUpkeep, "_published", lose_the_folder)
    grown.executor.run()
    assert [file.name for file in grown.folder.iterdir()] == ["items.sqlite"]


def test_a_body_that_cannot_find_what_is_asked_says_so(grown, monkeypatch):
    grown.executor.run()
    tuned = body_upkeep.tuned

    def missing(*arguments):
        body = tuned(*arguments)
        return replace(body, measured=replace(body.measured, meets_target=False))

    monkeypatch.setattr(body_upkeep, "tuned", missing)
    grown.collection.search(SearchQuery(unit_vectors(8, 256, DIMENSION), 10))
    grown.executor.run()
    assert grown.index.problem == "recent queries miss the recall target of 0.95; see recall_at_10"
    grown.check()
