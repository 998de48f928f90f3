"""A filter takes nothing from a search but what it is meant to: as many come as match, while writes go on."""

import threading
from contextlib import contextmanager

import numpy as np
import pytest

from memory_vectors import unit_vectors
from simila.domain.results import Item
from simila.index.collection import Collection, SearchQuery
from simila.index.filters import compile_filter
from simila.storage.collection_file import CollectionSpec
from simila.storage.item_writes import Delete, DeleteWhere, Upsert
from small_collections import ENCODER, HeldExecutor, are_nearest, ids, lower_flat_values, nearest, new_folder

DIMENSION = 16
ROWS = 1500
VECTORS = unit_vectors(0, ROWS, DIMENSION)
QUERY = unit_vectors(1, 1, DIMENSION)[0]
# One item in three, in 150 and in none: the first is found among candidates, the others are looked up first.
FILTERS = {
    "common": (compile_filter({"third": 0}), lambda number: number % 3 == 0),
    "rare": (compile_filter({"n": {"$lt": 10}}), lambda number: number < 10),
    "none": (compile_filter({"n": {"$lt": 0}}), lambda _: False),
}
COMMON, RARE = FILTERS["common"][0], FILTERS["rare"][0]


def item(number, version=0):
    vector = VECTORS[number] if version == 0 else unit_vectors(1000 * version + number, 1, DIMENSION)[0]
    return Item(str(number), vector, payload={"n": number, "third": number % 3})


@pytest.fixture(params=["head", "body"])
def collection(request, tmp_path, monkeypatch):
    spec = CollectionSpec.new("filtered", dimension=DIMENSION, **ENCODER)
    executor = HeldExecutor()
    if request.param == "body":
        lower_flat_values(monkeypatch, 1000 * DIMENSION)
    collection = Collection.open(new_folder(tmp_path, spec), executor=executor)
    write(collection, Upsert([item(number) for number in range(ROWS)]))
    executor.run()
    assert (collection.statistics().index.kind == "flat") == (request.param == "head")
    yield collection
    collection.close()


def write(collection, operation):
    return collection.write(operation).result()


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("limit", [1, 10, 499, 2000])
def test_the_nearest_that_match_are_found(collection, name, limit):
    where, is_match = FILTERS[name]
    matching = [number for number in range(ROWS) if is_match(number)]
    hits = nearest(collection, QUERY, limit, where=where, exact=True)
    assert are_nearest(hits, {str(number): float(VECTORS[number] @ QUERY) for number in matching}, limit)
    assert len(nearest(collection, QUERY, limit, where=where)) == min(limit, len(matching))


def test_what_was_asked_for_before_a_write_sees_the_write(collection):
    for where in (COMMON, RARE):
        before = nearest(collection, QUERY, 600, where=where)
        write(collection, Upsert([item(3, version=1), item(ROWS - 1)]))
        write(collection, Delete(["6"]))
        after = nearest(collection, QUERY, 600, where=where)
        assert sorted(ids(after)) == sorted(set(ids(before)) - {"6"})
        write(collection, Upsert([item(6)]))
        assert sorted(ids(nearest(collection, QUERY, 600, where=where))) == sorted(ids(before))


def test_what_is_rewritten_no_longer_to_match_is_found_no_more(collection):
    for where in (COMMON, RARE):
        assert "9" in ids(nearest(collection, QUERY, 600, where=where))
    write(collection, Upsert([Item("9", VECTORS[9], payload={"n": 10_000, "third": 1})]))
    for where in (COMMON, RARE):
        assert "9" not in ids(nearest(collection, QUERY, 600, where=where))


def test_a_filter_that_many_writes_have_overtaken_is_looked_up_again(collection):
    assert len(nearest(collection, QUERY, 100, where=RARE)) == 10
    for version in range(1, 5):
        write(collection, Upsert([item(number, version) for number in range(ROWS)]))
    assert sorted(map(int, ids(nearest(collection, QUERY, 100, where=RARE)))) == list(range(10))
    write(collection, DeleteWhere(compile_filter({"n": {"$gt": 4}})))
    assert sorted(map(int, ids(nearest(collection, QUERY, 100, where=RARE)))) == list(range(5))


@pytest.mark.parametrize("asked_before", [True, False])
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("where", [COMMON, RARE, None], ids=["common", "rare", "all"])
def test_an_item_that_is_replaced_during_a_search_is_found(collection, where, exact, asked_before, monkeypatch):
    """The new row is on disk, the old one still in the view: neither may be the reason to leave the item out."""
    if asked_before:
        nearest(collection, QUERY, 3, where=where)
    with commit_that_is_not_applied(collection, Upsert([item(3)])) as release:
        submit = collection.write
        # Whoever waits for the writer lets it go on.
        monkeypatch.setattr(collection, "write", lambda operation: (release(), submit(operation))[1])
        hits = nearest(collection, VECTORS[3], 5, where=where, exact=exact)
    assert (hits[0].id, hits[0].sequence) == ("3", ROWS + 1)


@contextmanager
def commit_that_is_not_applied(collection, operation):
    """Run the block between a commit and the change of the view, until it calls what it is given."""
    committed, released = threading.Event(), threading.Event()
    apply = collection._store.on_commit

    def apply_late(changes):
        committed.set()
        released.wait()
        apply(changes)

    collection._store.on_commit = apply_late
    writing = collection.write(operation)
    committed.wait()
    try:
        yield released.set
    finally:
        released.set()
        writing.result()


def test_the_account_tells_how_a_filter_was_applied(collection):
    plans = {}
    for name, (where, _) in FILTERS.items():
        result = collection.search(SearchQuery(QUERY[np.newaxis], 10, where))
        plans[name] = result.filter_account
    assert plans["common"].plan == "filter on 44 candidates"
    assert plans["common"].share == pytest.approx(1 / 3, abs=0.05)
    assert plans["rare"].plan == "search among the 10 that match"
    assert plans["none"].plan == "search among the 0 that match"
    assert 0 < plans["none"].share <= plans["rare"].share < 0.03
