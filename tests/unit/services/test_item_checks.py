import pytest

from simila.domain.errors import DuplicateId, InvalidInput, InvalidLabels, LimitExceeded
from simila.domain.inputs import TextInput
from simila.services.item_checks import MOST_ID_CHARACTERS, ItemLimits, NewItem, check_items

LIMITS = ItemLimits(items=3, label_characters=8, payload_bytes=20)


def item(item_id="a", label=None, payload=None):
    return NewItem(item_id, TextInput("text"), label, payload)


@pytest.mark.parametrize(
    ("bad", "error", "message", "param"),
    [
        (item(""), InvalidInput, "items[1]: an id has 1 to 512 characters and is not blank", "items[1].id"),
        (item(" \t"), InvalidInput, "items[1]: an id has 1 to 512 characters and is not blank", "items[1].id"),
        (item("x" * 513), InvalidInput, "items[1]: an id has 1 to 512 characters and is not blank", "items[1].id"),
        (item("a\nb"), InvalidInput, "items[1]: the id has a control character", "items[1].id"),
        (item("a\u2028b"), InvalidInput, "items[1]: the id has a control character", "items[1].id"),
        (item(".."), InvalidInput, "items[1]: an id has no part '.' or '..' between slashes", "items[1].id"),
        (item("a/../../b"), InvalidInput, "items[1]: an id has no part '.' or '..' between slashes", "items[1].id"),
        (item("./b"), InvalidInput, "items[1]: an id has no part '.' or '..' between slashes", "items[1].id"),
        (item("first"), DuplicateId, "items[1]: the id 'first' is that of items[0] too", "items[1].id"),
        (
            item(label="  \u2003"),
            InvalidLabels,
            "items[1].label: it is blank; leave it out for an item without a label, or say null",
            "items[1].label",
        ),
        (
            item(payload={"key": "x" * 11}),
            LimitExceeded,
            "items[1].payload: 22 bytes are more than the limit of 20 (SIMILA_LIMITS__MAX_PAYLOAD_BYTES)",
            "items[1].payload",
        ),
        (
            item(payload={"key": float("nan")}),
            InvalidInput,
            "items[1].payload: it is not JSON: Out of range float values are not JSON compliant",
            "items[1].payload",
        ),
    ],
    ids=[
        "empty-id",
        "blank-id",
        "long-id",
        "newline",
        "separator",
        "dots",
        "climb",
        "here",
        "twice",
        "blank-label",
        "large-payload",
        "nan",
    ],
)
def test_an_item_that_is_refused_is_named(bad, error, message, param):
    with pytest.raises(error) as refused:
        check_items([item("first"), bad], LIMITS)
    assert (type(refused.value), refused.value.message, refused.value.param) == (error, message, param)


@pytest.mark.parametrize(
    "good",
    [
        item("x" * MOST_ID_CHARACTERS),
        item(" a"),
        item(label="heel"),
        item(payload={}),
        item(payload={"key": "x" * 9}),
        item(payload={"k": "é" * 5}),
    ],
)
def test_an_item_that_is_taken(good):
    check_items([good], LIMITS)


def test_a_payload_is_counted_in_bytes_of_utf_8():
    with pytest.raises(LimitExceeded, match="22 bytes are more"):
        check_items([item(payload={"key": "éééééx"})], LIMITS)


def test_no_items_are_refused():
    with pytest.raises(InvalidInput) as refused:
        check_items([], LIMITS)
    assert (refused.value.message, refused.value.param) == ("there are no items", "items")


def test_too_many_items_are_refused():
    check_items([item(name) for name in "abc"], LIMITS)
    with pytest.raises(LimitExceeded) as refused:
        check_items([item(name) for name in "abcd"], LIMITS)
    assert refused.value.message == "4 items are more than the limit of 3 (SIMILA_LIMITS__MAX_ITEMS)"
    assert refused.value.param == "items"


def test_a_payload_may_be_as_deep_as_it_can_be_read_again():
    def nested(levels):
        return {"a": [nested(levels - 2)] if levels > 2 else 1}

    limits = ItemLimits(items=3, label_characters=8, payload_bytes=10_000)
    check_items([item(payload=nested(62))], limits)
    with pytest.raises(InvalidInput, match="nested more than 64 deep"):
        check_items([item(payload=nested(68))], limits)


def test_a_label_has_a_length():
    with pytest.raises(
        LimitExceeded, match=r"items\[0\].label: 9 characters .* \(SIMILA_LIMITS__MAX_LABEL_CHARACTERS\)"
    ):
        check_items([item(label="x" * 9)], LIMITS)
