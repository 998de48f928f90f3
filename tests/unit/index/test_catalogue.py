"""All collections of a folder: made, found, dropped, and there again after a restart."""

import stat
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from filled_catalogues import EAST, LITE, MINILM, NORTH, filled, items_file, upsert
from memory_vectors import unit_vectors
from simila.domain.errors import (
    CollectionUnavailable,
    Conflict,
    DataFolderError,
    FingerprintMismatch,
    InvalidInput,
    StorageFailed,
    UnknownCollection,
)
from simila.domain.results import Hit, Item
from simila.index.catalogue import Catalogue
from simila.index.collection_state import Available
from simila.storage.collection_file import CollectionSpec
from small_collections import ids, lower_flat_values, nearest


def test_a_collection_is_made_and_found(catalogue):
    before = datetime.now(UTC) - timedelta(seconds=1)
    collection, created = catalogue.create(CollectionSpec.new("shoes", **MINILM))
    assert created
    assert catalogue.get("shoes") is collection
    spec = collection.spec
    assert (spec.name, spec.encoder, spec.fingerprint, spec.dimension) == ("shoes", "all-minilm-l6-v2", "ab" * 32, 3)
    assert before <= datetime.fromisoformat(spec.created_at) <= datetime.now(UTC)
    assert list(catalogue.states()) == ["shoes"]


def test_the_same_encoder_gets_the_same_collection(catalogue):
    first, _ = catalogue.create(CollectionSpec.new("shoes", **MINILM))
    again, created = catalogue.create(CollectionSpec.new("shoes", **MINILM))
    assert again is first
    assert not created


def test_another_encoder_is_a_conflict(catalogue):
    catalogue.create(CollectionSpec.new("shoes", **MINILM))
    with pytest.raises(
        FingerprintMismatch, match=r"shoes holds vectors of encoder all-minilm-l6-v2 .*simila-lite"
    ) as caught:
        catalogue.create(CollectionSpec.new("shoes", **LITE))
    assert isinstance(caught.value, Conflict)
    assert catalogue.get("shoes").spec.encoder == "all-minilm-l6-v2"


@pytest.mark.parametrize("name", ["a", "9", "A-b_c", "a" * 64])
def test_a_name_by_the_rule_is_taken(catalogue, root, name):
    catalogue.create(CollectionSpec.new(name, **MINILM))
    assert items_file(root, name).is_file()


@pytest.mark.parametrize("name", ["", "-a", "_a", ".a", "a.b", "a/b", "..", "a\n", "a b", "é", "a" * 65])
def test_a_name_against_the_rule_is_refused(catalogue, root, name):
    with pytest.raises(InvalidInput, match="1 to 64 characters"):
        catalogue.create(CollectionSpec.new(name, **MINILM))
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("name", ["shoes", "../shoes", ""])
def test_an_unknown_collection_is_named(catalogue, name):
    with pytest.raises(UnknownCollection, match=f"there is no collection '{name}'"):
        catalogue.get(name)
    with pytest.raises(UnknownCollection):
        catalogue.drop(name)


def test_a_restart_keeps_everything(root):
    filled(root, "bags", "shoes")
    catalogue = Catalogue(root)
    assert list(catalogue.states()) == ["bags", "shoes"]
    assert nearest(catalogue.get("shoes"), EAST, 1) == [Hit("a", 1.0, "shoes", f'{{"text":"{"x" * 3000}"}}', 1)]
    catalogue.close()


def test_folders_are_private(catalogue, root):
    catalogue.create(CollectionSpec.new("shoes", **MINILM))
    modes = [
        stat.S_IMODE(path.stat().st_mode)
        for path in (root, root / "shoes", items_file(root, "shoes").parent, items_file(root, "shoes"))
    ]
    assert modes == [0o700, 0o700, 0o700, 0o600]


def test_states_give_spec_and_statistics(catalogue):
    collection, _ = catalogue.create(CollectionSpec.new("shoes", **MINILM))
    upsert(collection, Item("a", EAST, "heel"), Item("b", NORTH))
    state = catalogue.states()["shoes"]
    assert state.spec == collection.spec
    assert (state.statistics.items, state.statistics.labels) == (2, {"heel": 1})


def test_a_folder_of_another_name_is_unavailable(root):
    filled(root, "shoes")
    (root / "shoes").rename(root / "boots")
    catalogue = Catalogue(root)
    with pytest.raises(CollectionUnavailable, match="folder boots holds the collection shoes"):
        catalogue.get("boots")
    catalogue.close()


def test_a_collection_without_its_file_is_one_line_in_the_log(root, caplog):
    (root / "shoes").mkdir(parents=True)
    Catalogue(root).close()
    [record] = caplog.records
    assert record.exc_info is None
    assert record.getMessage().startswith("collection shoes is unavailable: shoes/current does not name a generation")


def test_what_is_no_collection_is_left_alone(root):
    (root / "lost+found").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / "file").write_text("")
    catalogue = Catalogue(root)
    assert list(catalogue.states()) == []
    assert sorted(path.name for path in root.iterdir()) == [".git", "file", "lost+found"]
    catalogue.close()


def test_a_dropped_collection_is_gone_at_once(catalogue, root):
    collection, _ = catalogue.create(CollectionSpec.new("shoes", **MINILM))
    upsert(collection, Item("a", EAST))
    catalogue.drop("shoes")
    assert list(root.iterdir()) == []
    with pytest.raises(UnknownCollection):
        catalogue.get("shoes")
    with pytest.raises(UnknownCollection):
        nearest(collection, EAST, 1)
    assert catalogue.create(CollectionSpec.new("shoes", **LITE))[0].statistics().items == 0


def test_the_next_start_ends_a_drop_that_was_cut_short(root, monkeypatch):
    filled(root, "shoes")
    catalogue = Catalogue(root)
    monkeypatch.setattr("shutil.rmtree", lambda _: None)
    catalogue.drop("shoes")
    catalogue.close()
    assert [path.name[:17] for path in root.iterdir()] == [".transient-shoes-"]
    monkeypatch.undo()
    catalogue = Catalogue(root)
    assert list(catalogue.states()) == []
    assert list(root.iterdir()) == []
    catalogue.close()


def test_a_creation_that_fails_leaves_nothing(catalogue, root, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("simila.index.catalogue.rename_folder", fail)
    with pytest.raises(StorageFailed, match=r"shoes cannot be created: .*No space left"):
        catalogue.create(CollectionSpec.new("shoes", **MINILM))
    assert list(root.iterdir()) == []
    monkeypatch.undo()
    assert catalogue.create(CollectionSpec.new("shoes", **MINILM))[1]


def test_what_the_storage_says_of_a_creation_is_said_once(catalogue, root, monkeypatch):
    def fail(_, spec):
        raise StorageFailed(f"collection {spec.name} cannot be created: disk is full")

    monkeypatch.setattr("simila.index.catalogue.CollectionStore.create", fail)
    with pytest.raises(StorageFailed, match=r"^collection shoes cannot be created: disk is full$"):
        catalogue.create(CollectionSpec.new("shoes", **MINILM))
    assert list(root.iterdir()) == []


def test_a_drop_that_fails_is_reported_and_undone_by_the_next_start(root, monkeypatch):
    def fail(*_):
        raise OSError(30, "Read-only file system")

    filled(root, "shoes")
    catalogue = Catalogue(root)
    monkeypatch.setattr("simila.index.catalogue.rename_folder", fail)
    with pytest.raises(StorageFailed, match=r"shoes cannot be deleted: .*Read-only"):
        catalogue.drop("shoes")
    with pytest.raises(CollectionUnavailable, match="Read-only"):
        catalogue.get("shoes")
    catalogue.close()
    catalogue = Catalogue(root)
    assert catalogue.get("shoes").reader.get("a").item.label == "shoes"
    catalogue.close()


def test_of_many_creations_at_once_one_makes_it(catalogue):
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: catalogue.create(CollectionSpec.new("shoes", **MINILM)), range(32)))
    assert sum(created for _, created in results) == 1
    assert len({id(collection) for collection, _ in results}) == 1


def test_a_collection_is_found_while_another_is_made(catalogue):
    collection, _ = catalogue.create(CollectionSpec.new("shoes", **MINILM))
    with catalogue._lock:
        assert catalogue.get("shoes") is collection


def test_creations_and_drops_at_once_leave_a_sound_folder(catalogue, root):
    def churn(number):
        for _ in range(10):
            try:
                collection, _ = catalogue.create(CollectionSpec.new(f"c{number % 2}", **MINILM))
                upsert(collection, Item("a", EAST))
                catalogue.states()
                catalogue.drop(f"c{number % 2}")
            except UnknownCollection:  # another thread dropped it first
                continue

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(churn, range(4)))
    assert [path.name for path in root.iterdir()] == list(catalogue.states())
    reopened = Catalogue(root)
    assert all(isinstance(state, Available) for state in reopened.states().values())
    reopened.close()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "collections").write_text("")
    with pytest.raises(DataFolderError, match="collections cannot be used"):
        Catalogue(tmp_path / "collections")


def test_a_body_is_built_in_the_background_and_found_by_the_next_start(root, monkeypatch):
    lower_flat_values(monkeypatch, 300)
    catalogue = Catalogue(root)
    collection, _ = catalogue.create(CollectionSpec.new("shoes", **MINILM))
    upsert(collection, *(Item(str(number), vector) for number, vector in enumerate(unit_vectors(0, 400, 3))))
    catalogue._background.submit(lambda: None).result()
    assert collection.statistics().index.kind == "hnsw-sq8"
    catalogue.close()
    catalogue = Catalogue(root)
    statistics = catalogue.get("shoes").statistics()
    assert (statistics.index.kind, statistics.items) == ("hnsw-sq8", 400)
    catalogue.close()


@pytest.mark.parametrize("jump_days", [-3650, 3650])
def test_nothing_depends_on_the_clock(root, monkeypatch, jump_days):
    filled(root, "shoes")
    now = time.time
    monkeypatch.setattr("time.time", lambda: now() + 86_400 * jump_days)
    catalogue = Catalogue(root)
    collection = catalogue.get("shoes")
    assert upsert(collection, Item("b", NORTH)).sequences.tolist() == [2]
    assert ids(nearest(collection, NORTH, 5)) == ["b", "a"]
    assert catalogue.create(CollectionSpec.new("hats", **MINILM))[1]
    catalogue.close()
    monkeypatch.undo()
    catalogue = Catalogue(root)
    assert ids(nearest(catalogue.get("shoes"), EAST, 5)) == ["a", "b"]
    catalogue.close()
