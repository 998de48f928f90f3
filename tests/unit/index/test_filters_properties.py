"""Any filter over any payload finds by SQL what it means in Python, with and without payload indexes."""

import sqlite3
from contextlib import closing

from hypothesis import given, settings
from hypothesis import strategies as st

from filter_evaluator import FilteredItem, matches
from simila.index.filters import compile_filter
from simila.storage.payload_paths import create_index_sql, payload_text

# Few names and values, so that filters and payloads meet often.
NAMES = st.sampled_from(["a", "b", "é'", "c d", "\\", ""])
KEYS = st.lists(NAMES, min_size=1, max_size=3).map(".".join)
NUMBERS = st.sampled_from(
    [
        0,
        1,
        -1,
        1.0,
        -0.0,
        0.1,
        1e16,
        5e-324,
        1.7e308,
        2**53,
        2**53 + 1,
        2.0**53,
        2**63 - 1,
        2**63,
        -(2**63),
        2**64,
        10**30,
    ]
)
STRINGS = st.sampled_from(
    [
        "",
        "0",
        "1",
        "a",
        "A",
        "é",
        "😀",
        "\uffff",
        "true",
        "null",
        "[]",
        "{}",
        "[1]",
        "x'y\"z%_\\n\n",
        "2025-01-31",
        "2025-02",
    ]
)
SCALARS = (
    st.none() | st.booleans() | NUMBERS | STRINGS | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)
PAYLOADS = st.none() | st.dictionaries(NAMES, VALUES, max_size=3)
IDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=2)
LABELS = st.none() | st.sampled_from(["a", "b", "é"])
ITEMS = st.lists(st.builds(FilteredItem, IDS, LABELS, PAYLOADS), max_size=8, unique_by=lambda item: item.id)

ORDERED = st.booleans() | NUMBERS | STRINGS


def operators(scalars, ordered):
    comparison = st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(["$eq", "$ne"], scalars),
            **dict.fromkeys(["$gt", "$gte", "$lt", "$lte"], ordered),
            **dict.fromkeys(["$in", "$nin"], st.lists(scalars, max_size=4)),
            "$exists": st.booleans(),
        },
    ).filter(bool)
    return comparison | comparison.map(lambda inner: {"$not": inner}) | scalars


TEXTS = STRINGS | st.sampled_from(["a", "b"])
CLAUSES = (
    st.dictionaries(KEYS, operators(SCALARS, ORDERED), max_size=2)
    | st.dictionaries(KEYS, operators(SCALARS, ORDERED), min_size=1, max_size=1)
    | st.dictionaries(st.sampled_from(["$id", "$label"]), operators(TEXTS, TEXTS), max_size=2)
)
FILTERS = st.recursive(
    CLAUSES,
    lambda inner: (
        st.dictionaries(st.sampled_from(["$and", "$or", "$nor"]), st.lists(inner, min_size=1, max_size=3), max_size=2)
        | inner.map(lambda clause: {"$not": clause})
    ),
    max_leaves=4,
)


@settings(max_examples=400)
@given(items=ITEMS, source=FILTERS, indexed=st.lists(KEYS, max_size=3))
def test_sql_finds_what_the_filter_means(items, source, indexed):
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(
            "CREATE TABLE items (sequence INTEGER PRIMARY KEY, id TEXT, label TEXT, payload TEXT) STRICT"
        )
        for position, item in enumerate(items):
            payload = None if item.payload is None else payload_text(item.payload)
            connection.execute("INSERT INTO items VALUES (?, ?, ?, ?)", (position, item.id, item.label, payload))
        expected = [position for position, item in enumerate(items) if matches(item, source)]
        assert found(connection, source) == expected
        for statement in (statement for key in indexed for statement in create_index_sql(key)):
            connection.execute(statement)
        assert found(connection, source) == expected


def found(connection, source):
    where = compile_filter(source)
    query = f"SELECT items.sequence FROM items WHERE {where.sql} ORDER BY items.sequence"
    return [sequence for (sequence,) in connection.execute(query, where.parameters)]
