import sqlite3
from contextlib import closing

import pytest

from filter_evaluator import FilteredItem, matches
from simila.domain.errors import InvalidInput
from simila.index.filters import compile_filter
from simila.index.filters.parser import DEEPEST_FILTER, MOST_CLAUSES
from simila.storage.payload_paths import create_index_sql, payload_text

TABLE = "CREATE TABLE items (sequence INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, label TEXT, payload TEXT) STRICT"


def matching(source, payloads, indexed=()):
    """The positions of the payloads that match, by SQL; the evaluator agrees."""
    items = [FilteredItem(f"id{position}", None, payload) for position, payload in enumerate(payloads)]
    return matching_items(source, items, indexed)


def matching_items(source, items, indexed=()):
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(TABLE)
        for position, item in enumerate(items):
            payload = None if item.payload is None else payload_text(item.payload)
            connection.execute("INSERT INTO items VALUES (?, ?, ?, ?)", (position, item.id, item.label, payload))
        for statement in (statement for key in indexed for statement in create_index_sql(key)):
            connection.execute(statement)
        where = compile_filter(source)
        query = f"SELECT items.sequence FROM items WHERE {where.sql} ORDER BY items.sequence"
        found = [sequence for (sequence,) in connection.execute(query, where.parameters)]
    assert found == [position for position, item in enumerate(items) if matches(item, source)]
    return found


VALUES = [{"a": value} for value in (1, 1.0, 2, "1", "b", True, False, None, [], {})] + [{}, None]
ONE, ONE_FLOAT, TWO, TEXT_ONE, TEXT_B, TRUE, FALSE, NULL, EMPTY_LIST, OBJECT, MISSING, NO_PAYLOAD = range(12)


def without(*positions):
    return [position for position in range(12) if position not in positions]


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        (1, [ONE, ONE_FLOAT]),
        (1.0, [ONE, ONE_FLOAT]),
        ("1", [TEXT_ONE]),
        (True, [TRUE]),
        (False, [FALSE]),
        (None, [NULL]),
        ("[]", []),
        ("{}", []),
        ({"$eq": 2}, [TWO]),
        ({"$ne": 1}, without(ONE, ONE_FLOAT)),
        ({"$ne": None}, without(NULL)),
        ({"$gt": 1}, [TWO]),
        ({"$gte": 1}, [ONE, ONE_FLOAT, TWO]),
        ({"$lt": 2}, [ONE, ONE_FLOAT]),
        ({"$lte": 1.5}, [ONE, ONE_FLOAT]),
        ({"$gt": "1"}, [TEXT_B]),
        ({"$lt": "a"}, [TEXT_ONE]),
        ({"$gte": ""}, [TEXT_ONE, TEXT_B]),
        ({"$gt": False}, [TRUE]),
        ({"$lte": True}, [TRUE, FALSE]),
        ({"$gte": 1, "$lt": 2}, [ONE, ONE_FLOAT]),
        ({"$gte": 1, "$ne": 2}, [ONE, ONE_FLOAT]),
        ({"$in": [1, "b", True, None]}, [ONE, ONE_FLOAT, TEXT_B, TRUE, NULL]),
        ({"$in": [2, 3], "$gt": 1}, [TWO]),
        ({"$in": [True, False, True]}, [TRUE, FALSE]),
        ({"$in": []}, []),
        ({"$nin": [1, "b", True, None]}, without(ONE, ONE_FLOAT, TEXT_B, TRUE, NULL)),
        ({"$nin": []}, without()),
        ({"$exists": True}, without(MISSING, NO_PAYLOAD)),
        ({"$exists": False}, [MISSING, NO_PAYLOAD]),
        ({"$not": {"$gt": 1}}, without(TWO)),
        ({"$not": {"$not": {"$gt": 1}}}, [TWO]),
        ({"$not": {"$exists": True, "$ne": 2}}, [TWO, MISSING, NO_PAYLOAD]),
    ],
)
@pytest.mark.parametrize("indexed", [(), ("a",)])
def test_values_compare_within_their_type(test, expected, indexed):
    assert matching({"a": test}, VALUES, indexed) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({}, [0, 1, 2, 3]),
        ({"a": 1, "b": 1}, [0]),
        ({"$and": [{"a": 1}, {"b": 1}]}, [0]),
        ({"$or": [{"a": 1}, {"b": 1}]}, [0, 1, 2]),
        ({"$nor": [{"a": 1}, {"b": 1}]}, [3]),
        ({"$not": {"a": 1}}, [2, 3]),
        ({"$not": {"$nor": [{"a": 1}, {"b": 1}]}}, [0, 1, 2]),
        ({"$not": {}}, []),
        ({"a": 1, "$or": [{"b": 1}, {"b": 2}]}, [0, 1]),
        ({"$and": [{}]}, [0, 1, 2, 3]),
    ],
)
def test_clauses_are_joined(source, expected):
    assert matching(source, [{"a": 1, "b": 1}, {"a": 1, "b": 2}, {"a": 2, "b": 1}, {}]) == expected


@pytest.mark.parametrize("indexed", [(), ("tags",)])
def test_a_list_matches_if_any_element_does(indexed):
    payloads = [{"tags": ["x", "y"]}, {"tags": "x"}, {"tags": [1, 5]}, {"tags": [["x"]]}, {"tags": [None, True]}]

    def found(test):
        return matching({"tags": test}, payloads, indexed)

    assert found("x") == [0, 1]
    assert found({"$ne": "x"}) == [2, 3, 4]
    assert found({"$in": ["y", 5]}) == [0, 2]
    assert found({"$nin": ["y", 5]}) == [1, 3, 4]
    assert found(None) == [4]
    assert found(True) == [4]
    assert found(1) == [2]
    assert found({"$gt": 4}) == [2]
    assert found({"$gt": 5, "$lt": 9}) == []
    assert found({"$gt": 4, "$lt": 2}) == [2], "two elements may meet two operators"


@pytest.mark.parametrize("indexed", [(), ("authors.name",), ("authors.roles",)])
def test_a_list_of_objects_on_the_way_matches_if_any_object_does(indexed):
    payloads = [
        {"authors": [{"name": "Ann", "roles": ["editor", "author"]}, {"name": "Ben"}]},
        {"authors": {"name": "Ann", "roles": "author"}},
        {"authors": [[{"name": "Ann"}]]},
        {"authors": ["Ann", '{"name":"Ann"}', "{", {"name": "Cem"}]},
        {"authors": "Ann"},
    ]

    def found(source):
        return matching(source, payloads, indexed)

    assert found({"authors.name": "Ann"}) == [0, 1]
    assert found({"authors.name": {"$ne": "Ann"}}) == [2, 3, 4]
    assert found({"authors.name": {"$gt": "Ban"}}) == [0, 3]
    assert found({"authors.name": {"$exists": True}}) == [0, 1, 3]
    assert found({"authors.roles": "author"}) == [0, 1]
    assert found({"authors": "Ann"}) == [3, 4]


def test_only_one_list_lies_on_the_way():
    payloads = [{"a": {"b": [{"c": {"d": 1}}]}}, {"a": [{"b": {"c": {"d": [1]}}}]}, {"a": [{"b": [{"c": {"d": 1}}]}]}]
    assert matching({"a.b.c.d": 1}, payloads) == [0, 1]


def test_nested_keys_differ_from_keys_with_like_names():
    payloads = [{"a": {"b": {"c": 1}}}, {"a": {"b": 1}}, {"b": {"c": 1}}, {"a": {"": {"b": 1}}}]
    assert matching({"a.b.c": 1}, payloads) == [0]
    assert matching({"a.b": 1}, payloads) == [1]
    assert matching({"a..b": 1}, payloads) == [3]


def test_dates_are_in_order():
    dates = ["2024-12-31", "2025-01-31T12:00:00Z", "2025-02-01", "2026-01-01"]
    payloads = [{"date": date} for date in dates]
    assert matching({"date": {"$gte": "2025-01-01", "$lt": "2026-01-01"}}, payloads) == [1, 2]


def test_strings_are_in_the_order_of_code_points():
    payloads = [{"a": text} for text in ("Z", "a", "é", "\uffff", "😀")]
    assert matching({"a": {"$gt": "a"}}, payloads) == [2, 3, 4]
    assert matching({"a": {"$gte": "😀"}}, payloads) == [4]


@pytest.mark.parametrize("indexed", [(), ("a",)])
def test_integers_of_64_bits_are_exact_and_larger_ones_are_doubles(indexed):
    numbers = [2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**63 + 1, -(2**63), -(2**63) - 1, 2**70, 0.1, -0.0]
    payloads = [{"a": number} for number in numbers]

    def found(test):
        return matching({"a": test}, payloads, indexed)

    assert found(2**53 + 1) == [1]
    assert found(float(2**53)) == [0]
    assert found({"$gt": float(2**53), "$lt": 2**62}) == [1]
    assert found(2**63 - 1) == [2]
    assert found(2**63) == [3, 4]
    assert found({"$in": [2**63, 2**70]}) == [3, 4, 7]
    assert found(-(2**63)) == [5, 6]
    assert found(0.1) == [8]
    assert found(0) == [9]


@pytest.mark.parametrize(
    "text",
    ["", "'", '"', "%", "_", "?", "\\", "\n", "é", "😀", "'; DROP TABLE items; --", "$.a", "null", "NULL", "\x1f"],
)
def test_any_text_is_harmless_as_a_key_and_as_a_value(text):
    key = text.replace(".", "").replace('"', "").replace("$", "")
    payloads = [{"a": text}, {"a": text + "x"}, {"b": [text]}, {key: {"c": text}}]
    assert matching({"a": text}, payloads, indexed=["a"]) == [0]
    assert matching({"$or": [{"a": {"$in": [text, 1]}}, {"b": text}]}, payloads) == [0, 2]
    assert matching({f"{key}.c": text}, payloads, indexed=[key]) == [3]


def test_ids_and_labels_are_keys_too():
    items = [
        FilteredItem("cat-1", "cat", {"$label": "dog", "label": "dog", "id": "x"}),
        FilteredItem("cat-2", "Cat", None),
        FilteredItem("dog-1", "dog", {}),
        FilteredItem("what", None, {}),
    ]
    assert matching_items({"$id": "cat-2"}, items) == [1]
    assert matching_items({"$id": {"$gte": "cat-2", "$lt": "e"}}, items) == [1, 2]
    assert matching_items({"$id": {"$nin": ["cat-1", "what"]}}, items) == [1, 2]
    assert matching_items({"$id": {"$exists": False}}, items) == []
    assert matching_items({"$label": "dog"}, items) == [2]
    assert matching_items({"$label": {"$ne": "dog"}}, items) == [0, 1, 3]
    assert matching_items({"$label": {"$exists": False}}, items) == [3]
    assert matching_items({"$label": {"$in": ["cat", "dog"]}, "id": "x"}, items) == [0]
    assert matching_items({"$label": {"$not": {"$gt": "a"}}}, items) == [1, 3]


def test_ten_thousand_values_are_one_parameter():
    numbers = list(range(0, 30_000, 3))
    where = compile_filter({"a": {"$in": numbers}})
    assert set(where.parameters) == {payload_text(numbers)}
    assert matching({"a": {"$in": numbers}}, [{"a": 29_997}, {"a": 29_998}, {"a": [1, 3]}]) == [0, 2]


@pytest.mark.parametrize(
    ("source", "place", "message"),
    [
        ([], "filter", "it takes an object"),
        (None, "filter", "it takes an object"),
        ({"$and": {}}, "filter.$and", "it takes a list of at least one filter"),
        ({"$or": []}, "filter.$or", "it takes a list of at least one filter"),
        ({"$and": [{"a": 1}, 2]}, "filter.$and[1]", "it takes an object"),
        ({"$not": 3}, "filter.$not", "it takes an object"),
        ({"$and": [{}, {"price": {"$gte": [1]}}]}, "filter.$and[1].price.$gte", "$in takes a list of values"),
        ({"a": {"b": 1}}, "filter.a", "name its keys with dots"),
        ({"a": {}}, "filter.a", "name its keys with dots"),
        ({"a": [1]}, "filter.a", "$in takes a list of values"),
        ({"a": {"$gt": None}}, "filter.a.$gt", "null has no order; use $eq or $exists"),
        ({"a": {"$in": 1}}, "filter.a.$in", "it takes a list of values"),
        ({"a": {"$nin": [1, [2]]}}, "filter.a.$nin[1]", "a list is not compared as a whole"),
        ({"a": {"$in": [0] * 65_537}}, "filter.a.$in", "65537 values are more than the limit of 65536"),
        ({"a": {"$exists": 1}}, "filter.a.$exists", "it takes true or false"),
        ({"a": {"$not": 3}}, "filter.a.$not", "it takes operators"),
        ({"a": {"$not": {}}}, "filter.a.$not", "it takes operators"),
        ({"a": {"$gtt": 3}}, "filter.a.$gtt", "'$gtt' is not known here, known are $eq, $ne, $gt, $gte, $lt, "),
        ({"a": {"$gtt": 3}}, "filter.a.$gtt", "did you mean $gt"),
        ({"a": {"$gt": 3, "b": 1}}, "filter.a.b", "'b' is not known here"),
        ({"$ad": []}, "filter.$ad", "known are $and, $or, $nor, $not, $id, $label; did you mean $and?"),
        ({"$gt": 3}, "filter.$gt", '$gt stands behind a key, as in {"price": {"$gt": ...}}'),
        ({"$id": 3}, "filter.$id", "the id is a string, never a number"),
        ({"$label": None}, "filter.$label", 'the label is a string, never null (no label: {"$exists": false})'),
        ({"$label": {"$in": [True]}}, "filter.$label.$in[0]", "the label is a string, never a boolean"),
        ({'a"b': 3}, 'filter.a"b', "SQLite cannot address it"),
        ({1: 3}, "filter.1", "a key is a string"),
        ({"a": float("nan")}, "filter.a", "the number is not finite, or too large for a double"),
        ({"a": float("-inf")}, "filter.a", "the number is not finite, or too large for a double"),
        ({"a": 10**400}, "filter.a", "the number is not finite, or too large for a double"),
        ({"a": "x\0"}, "filter.a", "a string with a NUL character cannot be compared"),
        ({"a": "\ud800"}, "filter.a", "half a surrogate pair is not Unicode text"),
        ({"a": object()}, "filter.a", "object is not a JSON value"),
        ({"a": {"$or": [1]}}, "filter.a.$or", "'$or' is not known here"),
    ],
)
def test_a_malformed_clause_is_named(source, place, message):
    with pytest.raises(InvalidInput) as caught:
        compile_filter(source)
    assert caught.value.message.startswith(f"{place}: ")
    assert message in caught.value.message
    assert caught.value.param == place


def test_messages_call_the_filter_by_its_name():
    with pytest.raises(InvalidInput) as caught:
        compile_filter({"a": {}}, "searches[1].filter")
    assert caught.value.param == "searches[1].filter.a"


def nested(source, levels):
    for _ in range(levels):
        source = {"x": 1, "$nor": [{"u": 0}, source]}
    return source


def test_a_filter_may_be_nested_so_deep_and_no_deeper():
    deepest = nested({"z": 1}, DEEPEST_FILTER - 1)
    assert matching(deepest, [{}, {"x": 1}, {"x": 1, "z": 1}, {"x": 1, "u": 0}]) == [1]
    with pytest.raises(InvalidInput, match=f"nested more than {DEEPEST_FILTER} deep"):
        compile_filter({"$not": deepest})
    with pytest.raises(InvalidInput, match=f"nested more than {DEEPEST_FILTER} deep"):
        compile_filter(nested({"z": {"$not": {"$gt": 1}}}, DEEPEST_FILTER - 1))


def test_a_filter_may_have_so_many_clauses_and_no_more():
    most = {f"key{position}": {"$ne": 1} for position in range(MOST_CLAUSES - 1)}
    assert matching(most, [{}, {"key100": 1}]) == [0]
    with pytest.raises(InvalidInput, match=f"filter.one_more: the filter has more than {MOST_CLAUSES} clauses"):
        compile_filter({**most, "one_more": 1})
    with pytest.raises(InvalidInput, match=f"more than {MOST_CLAUSES} clauses"):
        compile_filter({"$and": [{}] * MOST_CLAUSES})


def two_sided(levels):
    if not levels:
        return {"a.b.c.d.e.f.g.h": {"$in": [1, "x", None]}, "x": 2.5}
    return {"$nor": [two_sided(levels - 1)], "$or": [two_sided(levels - 1)]}


def test_no_filter_within_the_limits_overflows_the_parser_of_sqlite():
    """Both sides as deep as the limits allow, under a condition on each level, in a query with parentheses itself."""
    where = compile_filter(nested(two_sided(6), DEEPEST_FILTER - 7))
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(TABLE)
        query = f"SELECT sequence FROM (SELECT sequence FROM items WHERE (label = 'x' AND (id = 'y' OR ({where.sql}))))"
        assert connection.execute(query, where.parameters).fetchall() == []
