"""Bodies come and go behind a collection; what is found stays right."""

import json
import shutil
import threading
import zlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from memory_vectors import clustered_vectors, unit_vectors
from simila.domain.results import Item
from simila.index import body_upkeep, tuning
from simila.index.collection import Collection, SearchQuery
from simila.index.filters import compile_filter
from simila.storage.collection_file import CollectionSpec
from simila.storage.item_writes import Delete, DeleteWhere, Upsert
from small_collections import ENCODER, HeldExecutor, are_nearest, ids, lower_flat_values, nearest, new_folder

DIMENSION = 16
FLAT_ROWS = 300
ROWS = 900
RECALL_TARGET = 0.95
COSINE_TOLERANCE = 1e-6
SPEC = CollectionSpec.new("grown", dimension=DIMENSION, recall_target=RECALL_TARGET, **ENCODER)
QUERIES = clustered_vectors(1, 20, DIMENSION)


class Grown:
    """A collection, what it is to hold, and the builds that wait."""

    def __init__(self, folder, memory_bytes=None):
        self.folder = folder
        self.executor = HeldExecutor()
        self.collection = Collection.open(folder, executor=self.executor, memory_bytes=memory_bytes)
        self.model = {stored.id: self.collection.reader.get(stored.id).item.vector for stored in self.rows()}

    def rows(self):
        return self.collection.reader.page(0, 10**6)

    def upsert(self, numbers, seed=0):
        vectors = clustered_vectors(seed, max(numbers) + 1, DIMENSION)
        items = [Item(str(number), vectors[number], payload={"n": number}) for number in numbers]
        self.collection.write(Upsert(items)).result()
        for item in items:
            self.model.pop(item.id, None)
            self.model[item.id] = item.vector

    def delete(self, numbers):
        self.collection.write(Delete([str(number) for number in numbers])).result()
        for number in numbers:
            del self.model[str(number)]

    def restarted(self):
        self.collection.close()
        return Grown(self.folder)

    @property
    def index(self):
        return self.collection.statistics().index

    def check(self):
        """Exact searches are exact, others as good as was promised, and all scores are cosines."""
        names, matrix = np.array(list(self.model)), np.array(list(self.model.values()))
        assert self.collection.statistics().items == len(names)
        recalls = []
        for query in QUERIES:
            best = names[np.argsort(-(matrix @ query), kind="stable")[:10]].tolist()
            hits = nearest(self.collection, query, 10, exact=True)
            assert are_nearest(hits, {name: float(vector @ query) for name, vector in self.model.items()}, 10)
            found = nearest(self.collection, query, 10)
            recalls.append(len(set(ids(found)) & set(best)) / len(best))
            assert len(found) == min(10, len(names))
            for hit in [*hits, *found]:
                assert abs(hit.score - self.model[hit.id] @ query) < COSINE_TOLERANCE
        assert np.mean(recalls) >= RECALL_TARGET


@pytest.fixture(autouse=True)
def _small_bodies(monkeypatch):
    lower_flat_values(monkeypatch, FLAT_ROWS * DIMENSION)


@pytest.fixture
def grown(tmp_path):
    """All rows are written, and a body of them waits to be built."""
    grown = Grown(new_folder(tmp_path, SPEC))
    grown.upsert(range(ROWS))
    yield grown
    grown.collection.close()


def during_builds(monkeypatch, act: Callable[[], None]):
    """Do something while a body is being built, once."""
    tuned = body_upkeep.tuned

    def tuned_after(*arguments):
        monkeypatch.setattr(body_upkeep, "tuned", tuned)
        act()
        return tuned(*arguments)

    monkeypatch.setattr(body_upkeep, "tuned", tuned_after)


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


def test_a_restart_loads_the_body_and_what_came_after(grown):
    grown.executor.run()
    grown.upsert(range(ROWS, ROWS + 20))
    grown.upsert(range(5), seed=7)
    grown.delete(range(10, 15))
    before = grown.index
    again = grown.restarted()
    assert again.index == before
    assert (again.index.head_rows, again.index.deleted_rows) == (25, 10)
    assert not again.executor.waiting
    again.model = grown.model
    again.check()
    again.collection.close()


def test_an_older_body_is_loaded_and_the_rest_replayed(grown, tmp_path):
    grown.executor.run()
    shutil.copytree(grown.folder, tmp_path / "older", ignore=shutil.ignore_patterns("items*"))
    grown.delete(range(400))
    grown.upsert(range(ROWS, ROWS + 50))
    grown.executor.run()
    grown.collection.close()
    for file in grown.folder.glob("body*"):
        file.unlink()
    shutil.copytree(tmp_path / "older", grown.folder, dirs_exist_ok=True)
    again = Grown(grown.folder)
    assert (again.index.kind, again.index.head_rows, again.index.deleted_rows) == ("hnsw-sq8", 50, 400)
    again.check()
    again.executor.run()
    assert (again.index.head_rows, again.index.deleted_rows) == (0, 0)
    again.check()
    again.collection.close()


def cut(suffix, part):
    def damage(folder):
        (file,) = folder.glob(f"body*.{suffix}")
        content = file.read_bytes()
        file.write_bytes(content[: int(part * len(content))] if part < 1 else content[:-1])

    damage.__name__ = f"{suffix}-cut-at-{part}"
    return damage


def flipped(suffix):
    def damage(folder):
        (file,) = folder.glob(f"body*.{suffix}")
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)

    damage.__name__ = f"{suffix}-flipped"
    return damage


def removed(suffix):
    def damage(folder):
        for file in folder.glob(f"body*.{suffix}"):
            file.unlink()

    damage.__name__ = f"{suffix}-removed"
    return damage


def retold(field, value):
    def damage(folder):
        manifest = json.loads((folder / "body.json").read_text())
        (folder / "body.json").write_text(json.dumps(manifest | {field: value}))

    damage.__name__ = f"other-{field}"
    return damage


def of_another_store(folder):
    """The very files of another collection with the same items."""
    other = Grown(new_folder(folder.parent, CollectionSpec.new("other", dimension=DIMENSION, **ENCODER)))
    other.upsert(range(ROWS))
    other.executor.run()
    other.collection.close()
    removed("*")(folder)
    shutil.copytree(other.folder, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("items*"))


DAMAGES = [
    *(removed(suffix) for suffix in ("json", "faiss", "sequences", "*")),
    *(cut(suffix, part) for suffix in ("json", "faiss", "sequences") for part in (0, 0.01, 0.5, 1)),
    *(flipped(suffix) for suffix in ("faiss", "sequences")),
    *(retold(*change) for change in [("faiss", "1.7.0"), ("format", 2), ("kind", "octree"), ("store_id", "00" * 16)]),
    of_another_store,
]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of a collection that has a body, to be copied."""
    with pytest.MonkeyPatch.context() as patch:
        lower_flat_values(patch, FLAT_ROWS * DIMENSION)
        grown = Grown(new_folder(tmp_path_factory.mktemp("built"), SPEC))
        grown.upsert(range(ROWS))
        grown.executor.run()
        grown.collection.close()
    return grown.folder


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_body_that_cannot_be_used_is_built_again_while_exact_search_serves(built, tmp_path, damage):
    folder = tmp_path / SPEC.name
    shutil.copytree(built, folder)
    damage(folder)
    again = Grown(folder)
    assert (again.index.kind, again.index.head_rows) == ("flat", ROWS)
    again.check()
    assert again.executor.run() == 1
    again.check()
    rebuilt = again.index
    assert (rebuilt.kind, rebuilt.head_rows) == ("hnsw-sq8", 0)
    last = again.restarted()
    assert (last.index.kind, last.index.head_rows, len(last.executor.waiting)) == ("hnsw-sq8", 0, 0)
    last.check()
    assert len(list(last.folder.glob("body*"))) == 3
    last.collection.close()


def test_a_body_that_lacks_items_is_built_again(grown, caplog):
    """As when somebody puts an older database in the place of the newer one."""
    grown.executor.run()
    grown.collection.close()
    manifest = json.loads((grown.folder / "body.json").read_text())
    sequences = np.fromfile(grown.folder / manifest["sequences"]["name"], "<i8")
    shifted = np.concatenate([sequences[:10] - 1, sequences[10:]]).astype("<i8").tobytes()
    (grown.folder / manifest["sequences"]["name"]).write_bytes(shifted)
    manifest["sequences"]["crc32"] = zlib.crc32(shifted)
    (grown.folder / "body.json").write_text(json.dumps(manifest))
    again = Grown(grown.folder)
    assert "it lacks items" in caplog.text
    assert again.index.kind == "flat"
    again.check()
    again.collection.close()


def test_a_body_of_a_later_store_is_not_used(grown, tmp_path, caplog):
    """An older copy of the database gives sequences again that the body holds with other vectors."""
    shutil.copytree(grown.folder, tmp_path / "copy")
    older = Grown(grown.folder)
    older.upsert(range(ROWS, ROWS + 400))
    older.executor.run()
    older.collection.close()
    grown.collection.close()
    (grown.folder / "items.sqlite-wal").unlink(missing_ok=True)
    shutil.copytree(tmp_path / "copy", grown.folder, dirs_exist_ok=True)
    again = Grown(grown.folder)
    assert again.index.kind == "flat"
    assert "newer than the items" in caplog.text
    again.upsert(range(ROWS, ROWS + 400), seed=9)
    again.executor.run()
    again.check()
    again.collection.close()


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


def test_leftovers_of_a_save_that_was_cut_short_are_removed(grown):
    grown.executor.run()
    grown.collection.close()
    files = sorted(file.name for file in grown.folder.glob("body*"))
    (grown.folder / "body-00ff00ff.faiss").write_bytes(b"half a body")
    (grown.folder / "body-00ff00ff.json").write_bytes(b"{")
    again = Grown(grown.folder)
    assert sorted(file.name for file in grown.folder.glob("body*")) == files
    assert again.index.kind == "hnsw-sq8"
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
