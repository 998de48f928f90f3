"""SQLite's own word on which filters use a declared payload index."""

import sqlite3
from contextlib import closing

import pytest

from simila.index.filters import compile_filter
from simila.storage.payload_paths import create_index_sql


@pytest.fixture
def connection():
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(
            "CREATE TABLE items (sequence INTEGER PRIMARY KEY, id TEXT, label TEXT, payload TEXT) STRICT"
        )
        for statement in (statement for key in ("price", "it's.odd") for statement in create_index_sql(key)):
            connection.execute(statement)
        yield connection


def plan(connection, source):
    """The steps that touch the items, each with the words `value` and `list` for the names of indexes."""
    where = compile_filter(source)
    query = f"EXPLAIN QUERY PLAN SELECT items.sequence FROM items WHERE {where.sql}"
    steps = [detail for *_, detail in connection.execute(query, where.parameters)]
    return [_readable(step) for step in steps if step.startswith(("SCAN items", "SEARCH items", "MULTI-INDEX"))]


def _readable(step):
    return " ".join(word.partition("_value")[1][1:] or ("list" if "_list_" in word else word) for word in step.split())


EITHER = "MULTI-INDEX OR"
LISTS = "SEARCH items USING INDEX list (<expr>=?)"


@pytest.mark.parametrize(
    ("test", "search"),
    [
        (7, "(<expr>=? AND <expr>=?)"),
        (7.5, "(<expr>=? AND <expr>=?)"),
        (2**70, "(<expr>=? AND <expr>=?)"),
        ("x", "(<expr>=? AND <expr>=?)"),
        (True, "(<expr>=? AND <expr>=?)"),
        (None, "(<expr>=? AND <expr>=?)"),
        ({"$in": [1, 2]}, "(<expr>=? AND <expr>=?)"),
        ({"$in": ["a", "b"]}, "(<expr>=? AND <expr>=?)"),
        ({"$gt": 1}, "(<expr>>?)"),
        ({"$lte": "2025-01-31"}, "(<expr><?)"),
        ({"$gte": 1, "$lt": 9.5}, "(<expr>>? AND <expr><?)"),
    ],
)
def test_an_index_serves_equality_membership_and_ranges(connection, test, search):
    assert plan(connection, {"price": test}) == [EITHER, f"SEARCH items USING INDEX value {search}", LISTS]


def test_an_index_of_a_nested_key_serves_the_lists_on_the_way_too(connection):
    value = "SEARCH items USING INDEX value (<expr>=? AND <expr>=?)"
    assert plan(connection, {"it's.odd": "x"}) == [EITHER, value, LISTS, LISTS]


@pytest.mark.parametrize(
    "source",
    [
        {"$and": [{"colour": "red"}, {"price": 7}]},
        {"colour": "red", "price": 7, "$label": {"$ne": "x"}},
        {"price": 7, "$or": [{"colour": "red"}, {"size": 3}]},
    ],
)
def test_an_index_serves_beside_clauses_without_one(connection, source):
    assert plan(connection, source) == [EITHER, "SEARCH items USING INDEX value (<expr>=? AND <expr>=?)", LISTS]


def test_indexes_serve_each_side_of_an_or(connection):
    value = "SEARCH items USING INDEX value (<expr>=? AND <expr>=?)"
    assert plan(connection, {"$or": [{"price": 7}, {"it's.odd": 7}]}) == [EITHER, value, LISTS, value, LISTS, LISTS]
    mixed = plan(connection, {"price": {"$in": [1, "a", None]}})
    assert mixed == [EITHER, value, LISTS, value, LISTS, value, LISTS]


@pytest.mark.parametrize("source", [{"colour": "red"}, {"price": {"$ne": 7}}, {"$or": [{"price": 7}, {"colour": 7}]}])
def test_without_an_index_all_items_are_scanned(connection, source):
    assert plan(connection, source) == ["SCAN items"]
