"""The sums of classes are those of the items, after any writes."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_vectors import unit_vectors
from simila.domain.class_sum import ClassSum
from simila.domain.errors import CollectionUnavailable, InvalidVector
from simila.domain.results import Item
from simila.storage.collection_file import CollectionSpec
from simila.storage.collection_store import CollectionStore
from simila.storage.item_writes import Delete, DeleteWhere, Upsert, UpsertArrays
from simila.storage.where import Where
from tolerances import FLOAT64_VALUES

DIMENSION = 5
LABELS = (None, "shoe", "boot", "hat", "chapeau à plumes")
IDS = tuple(f"item{number}" for number in range(12))
VECTORS = unit_vectors(3, 40, DIMENSION)

rows = st.lists(
    st.tuples(st.sampled_from(IDS), st.sampled_from(LABELS), st.integers(0, len(VECTORS) - 1)),
    max_size=8,
    unique_by=lambda row: row[0],
)
writes = st.one_of(
    st.tuples(st.just("upsert"), rows.filter(len)),
    st.tuples(st.just("upsert columns"), rows.filter(len)),
    st.tuples(st.just("delete"), st.lists(st.sampled_from(IDS))),
    st.tuples(st.just("delete class"), st.sampled_from(LABELS[1:])),
)


def make_store(path, dtype="float32"):
    spec = CollectionSpec.new("shoes", encoder="e", fingerprint="f", dimension=DIMENSION, vector_dtype=dtype)
    return CollectionStore.create(path / "items.sqlite", spec)


def operation(kind, values):
    match kind:
        case "upsert":
            return Upsert([Item(item_id, VECTORS[row], label) for item_id, label, row in values])
        case "upsert columns":
            ids, labels, numbers = zip(*values, strict=True)
            return UpsertArrays(ids, VECTORS[list(numbers)], labels)
        case "delete":
            return Delete(values)
        case _:
            return DeleteWhere(Where("items.label = ?", (values,)))


def means_afresh(store):
    vectors = {}
    for chunk in store.reader.scan(0, 1000):
        for vector, label in zip(chunk.vectors, chunk.labels, strict=True):
            vectors.setdefault(label, []).append(vector)
    vectors.pop(None, None)
    return {label: np.mean(of_class, axis=0, dtype=np.float64) for label, of_class in vectors.items()}


@settings(max_examples=40)
@given(sequence=st.lists(writes, max_size=12), dtype=st.sampled_from(["float32", "float16"]))
def test_after_any_writes_the_means_are_those_computed_afresh(tmp_path_factory, sequence, dtype):
    with closing(make_store(tmp_path_factory.mktemp("store"), dtype)) as store:
        for kind, values in sequence:
            store.submit(operation(kind, values)).result(timeout=30)
        expected, sums = means_afresh(store), store.reader.class_sums()
        assert set(sums) == set(expected)
        for label, mean in expected.items():
            np.testing.assert_allclose(sums[label].mean(), mean, rtol=0, atol=FLOAT64_VALUES)
        store.check_pages()


@pytest.fixture
def store(tmp_path):
    with closing(make_store(tmp_path)) as store:
        items = [Item(f"item{number}", VECTORS[number], LABELS[number % 3]) for number in range(9)]
        store.submit(Upsert(items)).result()
        yield store


def sql(path, statement):
    with closing(sqlite3.connect(path / "items.sqlite", isolation_level=None)) as connection:
        connection.execute(statement)


def test_sums_of_many_classes_are_read_in_parts(tmp_path):
    count = 10_000
    with closing(make_store(tmp_path)) as store:
        vectors = unit_vectors(0, count, DIMENSION)
        names = [f"n{number}" for number in range(count)]
        store.submit(UpsertArrays(names, vectors, names)).result()
        sums = store.reader.class_sums()
        assert len(sums) == count
        for number in (0, 4095, 4096, count - 1):
            assert sums[f"n{number}"].to_bytes() == ClassSum.empty(DIMENSION).added(vectors[[number]]).to_bytes()


def test_a_delete_says_which_classes_lost_how_many(store):
    deleted = store.submit(Delete(["item1", "item4", "item2", "item0", "none"])).result()
    assert deleted.classes == {"shoe": 2, "boot": 1}


def test_a_write_that_fails_leaves_the_sums(store):
    before = {label: total.to_bytes() for label, total in store.reader.class_sums().items()}
    with pytest.raises(InvalidVector, match="only unit vectors can be summed"):
        store.submit(Upsert([Item("new", 2 * VECTORS[0], "shoe")]))
    assert {label: total.to_bytes() for label, total in store.reader.class_sums().items()} == before


def test_a_sum_that_is_not_that_of_its_items_is_found_by_the_check_of_pages(store, tmp_path):
    store.check_pages()
    sql(tmp_path, "DELETE FROM class_sums WHERE label = 'shoe'")
    store.reader.check_classes({"boot", "none"})
    for check in (store.check_pages, lambda: store.reader.check_classes({"shoe"})):
        with pytest.raises(CollectionUnavailable, match="the sum of class 'shoe' is not that of its items"):
            check()
    with pytest.raises(CollectionUnavailable, match="a class sum is not that of its items"):
        store.submit(Delete(["item1"])).result()
    assert store.reader.get("item1") is not None


def test_a_sum_with_a_flipped_bit_is_not_believed(store, tmp_path):
    sql(tmp_path, "UPDATE class_sums SET total = zeroblob(48) WHERE label = 'boot'")
    with pytest.raises(CollectionUnavailable, match="the sum of class 'boot' fails its checksum"):
        store.reader.class_sums()


def test_a_damaged_vector_is_not_taken_out_of_a_sum(store, tmp_path):
    sql(tmp_path, "UPDATE vectors SET vector = zeroblob(20) WHERE sequence = 2")
    with pytest.raises(CollectionUnavailable, match="a vector fails its checksum"):
        store.submit(Delete(["item1"])).result()
