"""A label changes alone, whatever is written meanwhile."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from memory_vectors import unit_vectors
from simila.domain.errors import CollectionUnavailable, InvalidInput
from simila.domain.results import Item
from simila.storage.collection_file import CollectionSpec
from simila.storage.collection_store import CollectionStore
from simila.storage.item_rows import Source
from simila.storage.item_writes import Upsert, UpsertArrays
from simila.storage.relabelling import Relabel

VECTORS = unit_vectors(0, 4, 3)
NAMES = ("a", "b", "c", "d")


@pytest.fixture
def store(tmp_path):
    spec = CollectionSpec.new("shoes", encoder="e", fingerprint="f", dimension=3, store_inputs=True)
    with closing(CollectionStore.create(tmp_path / "items.sqlite", spec)) as store:
        items = [Item(name, vector, "old", {"of": name}) for name, vector in zip(NAMES, VECTORS, strict=True)]
        done(store, Upsert(items, [Source("text", name.encode()) for name in NAMES]))
        yield store


def done(store, operation):
    return store.submit(operation).result(timeout=30)


def test_the_label_changes_and_nothing_else(store):
    changes = []
    store.on_commit = changes.extend
    written = done(store, Relabel(["c", "nobody", "a"], "new"))
    assert list(written.ids) == ["a", "c"]
    assert (written.sequences.tolist(), written.replaced.tolist()) == ([5, 6], [1, 3])
    for sequence, position in ((5, 0), (6, 2)):
        stored = store.reader.get(NAMES[position])
        assert (stored.sequence, stored.item.label, stored.item.payload) == (sequence, "new", {"of": NAMES[position]})
        assert stored.item.vector.tobytes() == VECTORS[position].tobytes()
        assert store.reader.input_of(NAMES[position]) == Source("text", NAMES[position].encode())
    (change,) = changes
    assert (change.sequences.tolist(), change.removed.tolist(), list(change.labels)) == ([5, 6], [1, 3], ["new"] * 2)
    assert change.vectors.tobytes() == VECTORS[[0, 2]].tobytes()


def test_sums_of_classes_move_in_the_same_transaction(store):
    done(store, Relabel(["a", "b"], "new"))
    done(store, Relabel(["b", "c"], None))
    store.reader.check_class_sums()
    assert {label: total.count for label, total in store.reader.class_sums().items()} == {"old": 1, "new": 1}


def test_no_sequence_is_given_twice(store):
    done(store, Relabel(["a"], "new"))
    assert done(store, Upsert([Item("e", VECTORS[0])])).sequences.tolist() == [6]
    assert store.reader.last_sequence() == 6


def test_items_of_no_id_change_nothing(store):
    written = done(store, Relabel(["nobody"], "new"))
    assert len(written.ids) == len(written.sequences) == len(written.replaced) == 0
    assert store.reader.last_sequence() == 4


def test_what_another_writes_meanwhile_is_not_undone(store):
    """Both are handed in before either runs: reading first and writing then would bring the old vector back."""
    turned = VECTORS[[1]]
    replaced = store.submit(UpsertArrays(["a"], turned, ["old"], ['{"of": "another"}']))
    done(store, Relabel(["a"], "new"))
    replaced.result(timeout=30)
    stored = store.reader.get("a")
    assert (stored.item.label, stored.item.payload) == ("new", {"of": "another"})
    assert stored.item.vector.tobytes() == turned.tobytes()


def test_what_is_damaged_is_not_given_a_new_checksum(store, tmp_path):
    with closing(sqlite3.connect(tmp_path / "items.sqlite", isolation_level=None)) as other:
        other.execute("UPDATE items SET payload = '{}' WHERE id = 'b'")
    with pytest.raises(CollectionUnavailable, match=r"item 'b' \(sequence 2\) fails its checksum"):
        done(store, Relabel(["a", "b"], "new"))


def test_a_label_that_is_no_text_is_refused(store):
    with pytest.raises(InvalidInput, match="is not Unicode text"):
        done(store, Relabel(["a"], "\ud800"))


def test_many_items_in_more_than_one_piece(store, monkeypatch):
    monkeypatch.setattr("simila.storage.relabelling.PIECE_ROWS", 2)
    written = done(store, Relabel(NAMES, "new"))
    assert written.replaced.tolist() == [1, 2, 3, 4]
    _, vectors = store.reader.vectors(np.array([5, 6, 7, 8]))
    assert vectors.tobytes() == VECTORS.tobytes()
    store.reader.check_class_sums()
