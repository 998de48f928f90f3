"""All collections of a folder: what is damaged hinders nothing else."""

import logging
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

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
from simila.index.catalogue import Available, Catalogue, Unavailable
from simila.index.collection import Collection

EAST, NORTH, _ = np.eye(3, dtype=np.float32)
MINILM = {"encoder": "all-minilm-l6-v2", "fingerprint": "ab" * 32, "dimension": 3}
LITE = {"encoder": "simila-lite", "fingerprint": "cd" * 32, "dimension": 3}


@pytest.fixture
def root(tmp_path):
    return tmp_path / "collections"


@pytest.fixture
def catalogue(root):
    catalogue = Catalogue(root)
    yield catalogue
    catalogue.close()


def filled(root, *names):
    """Collections of one item each, closed again."""
    catalogue = Catalogue(root)
    for name in names:
        collection, _ = catalogue.create(name, **MINILM)
        collection.upsert([Item("a", EAST, name, {"text": "x" * 3000})])
    catalogue.close()


def test_a_collection_is_made_and_found(catalogue):
    before = datetime.now(UTC) - timedelta(seconds=1)
    collection, created = catalogue.create("shoes", **MINILM)
    assert created
    assert catalogue.get("shoes") is collection
    spec = collection.spec
    assert (spec.name, spec.encoder, spec.fingerprint, spec.dimension) == ("shoes", "all-minilm-l6-v2", "ab" * 32, 3)
    assert before <= datetime.fromisoformat(spec.created_at) <= datetime.now(UTC)
    assert list(catalogue.states()) == ["shoes"]


def test_the_same_encoder_gets_the_same_collection(catalogue):
    first, _ = catalogue.create("shoes", **MINILM)
    again, created = catalogue.create("shoes", **MINILM)
    assert again is first
    assert not created


def test_another_encoder_is_a_conflict(catalogue):
    catalogue.create("shoes", **MINILM)
    with pytest.raises(
        FingerprintMismatch, match=r"shoes holds vectors of encoder all-minilm-l6-v2 .*simila-lite"
    ) as caught:
        catalogue.create("shoes", **LITE)
    assert isinstance(caught.value, Conflict)
    assert catalogue.get("shoes").spec.encoder == "all-minilm-l6-v2"


@pytest.mark.parametrize("name", ["a", "9", "A-b_c", "a" * 64])
def test_a_name_by_the_rule_is_taken(catalogue, root, name):
    catalogue.create(name, **MINILM)
    assert (root / name / "items.sqlite").is_file()


@pytest.mark.parametrize("name", ["", "-a", "_a", ".a", "a.b", "a/b", "..", "a\n", "a b", "é", "a" * 65])
def test_a_name_against_the_rule_is_refused(catalogue, root, name):
    with pytest.raises(InvalidInput, match="1 to 64 characters"):
        catalogue.create(name, **MINILM)
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
    assert catalogue.get("shoes").search(EAST, 1) == [Hit("a", 1.0, "shoes", {"text": "x" * 3000})]
    catalogue.close()


def test_folders_are_private(catalogue, root):
    catalogue.create("shoes", **MINILM)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (root, root / "shoes", root / "shoes" / "items.sqlite")]
    assert modes == [0o700, 0o700, 0o600]


def empty(file):
    file.write_bytes(b"")


def truncate(file):
    file.write_bytes(file.read_bytes()[:5000])


def overwrite(file):
    content = bytearray(file.read_bytes())
    content[4096:12288] = b"\x5a" * 8192
    file.write_bytes(content)


def replace_by_text(file):
    file.write_text("not a database\n" * 500)


def remove(file):
    file.unlink()


@pytest.mark.parametrize("damage", [empty, truncate, overwrite, replace_by_text, remove])
def test_a_damaged_collection_hinders_no_other(root, caplog, damage):
    filled(root, "bags", "hats", "shoes")
    damage(root / "hats" / "items.sqlite")
    with caplog.at_level(logging.ERROR, "simila.index"):
        catalogue = Catalogue(root)
    assert [record.getMessage() for record in caplog.records] == ["collection hats is unavailable"]
    for name in ("bags", "shoes"):
        assert catalogue.get(name).search(EAST, 1)[0].label == name
    with pytest.raises(CollectionUnavailable, match=r"hats/items\.sqlite cannot be read: .*; restore it"):
        catalogue.get("hats")
    with pytest.raises(CollectionUnavailable):
        catalogue.create("hats", **MINILM)
    states = catalogue.states()
    assert list(states) == ["bags", "hats", "shoes"]
    assert isinstance(states["hats"], Unavailable)
    assert "hats/items.sqlite cannot be read" in states["hats"].reason
    catalogue.drop("hats")
    _, created = catalogue.create("hats", **LITE)
    assert created
    catalogue.close()


def test_a_failure_of_another_kind_hinders_no_other(root, monkeypatch):
    filled(root, "bags", "hats")
    opened = Collection.open

    def fail_once(path):
        if path.parent.name == "bags":
            raise MemoryError
        return opened(path)

    monkeypatch.setattr(Collection, "open", fail_once)
    catalogue = Catalogue(root)
    assert catalogue.states()["bags"] == Unavailable("MemoryError")
    assert isinstance(catalogue.states()["hats"], Available)
    catalogue.close()


def test_states_give_spec_and_statistics(catalogue):
    collection, _ = catalogue.create("shoes", **MINILM)
    collection.upsert([Item("a", EAST, "heel"), Item("b", NORTH)])
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


def test_what_is_no_collection_is_left_alone(root):
    (root / "lost+found").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / "file").write_text("")
    catalogue = Catalogue(root)
    assert list(catalogue.states()) == []
    assert sorted(path.name for path in root.iterdir()) == [".git", "file", "lost+found"]
    catalogue.close()


def test_a_dropped_collection_is_gone_at_once(catalogue, root):
    collection, _ = catalogue.create("shoes", **MINILM)
    collection.upsert([Item("a", EAST)])
    catalogue.drop("shoes")
    assert list(root.iterdir()) == []
    with pytest.raises(UnknownCollection):
        catalogue.get("shoes")
    with pytest.raises(UnknownCollection):
        collection.search(EAST, 1)
    assert catalogue.create("shoes", **LITE)[0].statistics().items == 0


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
        catalogue.create("shoes", **MINILM)
    assert list(root.iterdir()) == []
    monkeypatch.undo()
    assert catalogue.create("shoes", **MINILM)[1]


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
    assert catalogue.get("shoes").get("a").item.label == "shoes"
    catalogue.close()


def test_of_many_creations_at_once_one_makes_it(catalogue):
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: catalogue.create("shoes", **MINILM), range(32)))
    assert sum(created for _, created in results) == 1
    assert len({id(collection) for collection, _ in results}) == 1


def test_a_collection_is_found_while_another_is_made(catalogue):
    collection, _ = catalogue.create("shoes", **MINILM)
    with catalogue._lock:
        assert catalogue.get("shoes") is collection


def test_creations_and_drops_at_once_leave_a_sound_folder(catalogue, root):
    def churn(number):
        for _ in range(10):
            try:
                collection, _ = catalogue.create(f"c{number % 2}", **MINILM)
                collection.upsert([Item("a", EAST)])
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
