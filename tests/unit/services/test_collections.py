import asyncio

import numpy as np
import pytest

from simila.domain.errors import InvalidInput, LimitExceeded, NotFound, UnknownCollection, UnknownEncoder, UnknownItem
from simila.domain.inputs import TextInput
from simila.services.collections import CollectionOptions
from simila.services.item_checks import NewItem
from unit.services.word_encoders import DIMENSION, direction


def item(word, label=None, payload=None):
    return NewItem(word, TextInput(word), label, payload)


def run(coroutine):
    return asyncio.run(coroutine)


def ids(collections, **options):
    page = run(collections.page("colours", **{"after_sequence": 0, "limit": 100, **options}))
    return [row.id for row in page.rows]


def numbered(collections, count):
    run(collections.upsert("colours", [item(f"i{n}", payload={"n": n}) for n in range(count)]))


def test_making_a_collection_twice_finds_it(collections, pool):
    found, created = run(collections.create("colours", "words", CollectionOptions()))
    assert not created
    assert (found.spec.encoder, found.spec.dimension) == ("words", DIMENSION)
    assert found.spec.fingerprint == pool.get("words").manifest.fingerprint


def test_items_keep_vector_label_and_payload(collections):
    assert run(collections.upsert("colours", [item("red", "warm", {"rgb": [255, 0, 0]}), item("blue")])) == 2
    stored = run(collections.get_item("colours", "red"))
    np.testing.assert_array_equal(stored.item.vector, direction("red"))
    assert (stored.item.label, stored.item.payload, stored.sequence) == ("warm", {"rgb": [255, 0, 0]}, 1)


def test_one_bad_item_keeps_all_out(collections, tower):
    tower.bad = {"bad"}
    with pytest.raises(InvalidInput, match=r"^items\[1\]: cannot embed 'bad'$"):
        run(collections.upsert("colours", [item("red"), item("bad")]))
    assert ids(collections) == []


def test_items_are_checked_before_anything_is_embedded(collections, tower):
    with pytest.raises(InvalidInput):
        run(collections.upsert("colours", [item("red"), item(" ")]))
    assert tower.seen == []


def test_a_page_holds_what_matches_and_says_where_the_next_begins(collections):
    numbered(collections, 6)
    page = run(collections.page("colours", after_sequence=0, limit=2, filter={"n": {"$gte": 1}}, with_vectors=True))
    assert [row.id for row in page.rows] == ["i1", "i2"]
    assert page.next_sequence == page.rows[-1].sequence == 3
    np.testing.assert_array_equal(page.vectors[3], direction("i2"))
    assert ids(collections, after_sequence=3, filter={"n": {"$lt": 5}}) == ["i3", "i4"]
    assert run(collections.page("colours", after_sequence=3, limit=3)).next_sequence is None  # full, and the last


def test_items_are_counted_with_and_without_a_filter(collections):
    numbered(collections, 5)
    assert run(collections.count("colours")) == 5
    assert run(collections.count("colours", {"n": {"$lt": 2}})) == 2


def test_deleting_by_ids_counts_those_that_were_there(collections):
    numbered(collections, 4)
    assert run(collections.delete_items("colours", ["i3", "nobody", "i1"])) == ["i1", "i3"]
    assert ids(collections) == ["i0", "i2"]


def test_deleting_by_filter_deletes_what_matches(collections):
    numbered(collections, 4)
    assert run(collections.delete_matching("colours", {"n": {"$gte": 1}})) == 3
    assert ids(collections) == ["i0"]


def test_deleting_all_takes_a_word_of_its_own(collections):
    numbered(collections, 3)
    for filter in ({}, {"$and": [{}]}):  # noqa: A001 - the wire's name
        with pytest.raises(InvalidInput, match="it matches every item"):
            run(collections.delete_matching("colours", filter))
    assert run(collections.delete_all_items("colours")) == 3
    assert ids(collections) == []


def test_a_payload_index_is_declared_once_and_dropped_once(collections):
    assert run(collections.declare_payload_index("colours", "a.b"))
    assert not run(collections.declare_payload_index("colours", "a.b"))
    assert run(collections.describe("colours")).statistics.payload_indexes == ["a.b"]
    run(collections.drop_payload_index("colours", "a.b"))
    with pytest.raises(NotFound, match=r"^collection colours has no payload index 'a\.b'$"):
        run(collections.drop_payload_index("colours", "a.b"))


@pytest.mark.parametrize(
    ("call", "error", "message", "param"),
    [
        (lambda s: s.get_item("colours", "gone"), UnknownItem, "collection colours has no item 'gone'", "id"),
        (lambda s: s.delete_item("colours", "gone"), UnknownItem, "collection colours has no item 'gone'", "id"),
        (
            lambda s: s.page("colours", after_sequence=0, limit=101),
            LimitExceeded,
            "limit is 101, more than the most allowed, 100 (SIMILA_LIMITS__MAX_SEARCH_RESULTS)",
            "limit",
        ),
        (
            lambda s: s.delete_items("colours", ["x"] * 201),
            LimitExceeded,
            "201 ids are more than the limit of 200 (SIMILA_LIMITS__MAX_ITEMS)",
            "ids",
        ),
        (lambda s: s.describe("gone"), UnknownCollection, "there is no collection 'gone'", "name"),
        (
            lambda s: s.create("x", "nope", CollectionOptions()),
            UnknownEncoder,
            "unknown encoder 'nope'; served here: words, pictures",
            "encoder",
        ),
        (
            lambda s: s.declare_payload_index("colours", 'a"b'),
            InvalidInput,
            "the key 'a\"b' has a double quote: SQLite cannot address it",
            "key",
        ),
        (
            lambda s: s.count("colours", {"n": {"$gte": None}}),
            InvalidInput,
            "filter.n.$gte: null has no order; use $eq or $exists",
            "filter.n.$gte",
        ),
    ],
    ids=["get", "delete", "limit", "ids", "collection", "encoder", "key", "filter"],
)
def test_what_is_refused_says_why(collections, call, error, message, param):
    with pytest.raises(error) as refused:
        run(call(collections))
    assert (refused.value.message, refused.value.param) == (message, param)
