import pytest

from simila.api.accept import ARROW_STREAM, JSON, MESSAGE_PACK, OCTETS, preferred, prefers


@pytest.mark.parametrize(
    ("accept", "octets"),
    [
        ("", False),
        ("*/*", False),
        ("application/*", False),
        ("application/json", False),
        ("text/html", False),
        ("application/json, text/plain, */*", False),
        ("application/octet-stream", True),
        ("Application/Octet-Stream", True),
        ("application/octet-stream, */*", True),
        ("application/octet-stream, application/*;q=0.9", True),
        ("application/octet-stream, application/json", False),
        ("application/octet-stream;q=0.4, application/json;q=0.5", False),
        ("application/octet-stream;q=0.5 , application/json; q=0.4", True),
        ("application/octet-stream;q=0.5, */*;q=0.8", False),
        ("application/octet-stream;q=0", False),
        ("application/octet-stream;q=0, */*", False),
        ("application/octet-stream;q=much", False),
        ("application/octet-stream;q=7", False),
        ("application/octet-stream;v=2;q=0.9, application/json;q=0.8", True),
        (",;,/", False),
    ],
)
def test_json_unless_octets_are_wanted_more(accept, octets):
    assert prefers(accept, OCTETS) is octets


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("*/*", JSON),
        (MESSAGE_PACK, MESSAGE_PACK),
        (f"{OCTETS};q=0.5, {ARROW_STREAM};q=0.7, {JSON};q=0.6", ARROW_STREAM),
        (f"{OCTETS};q=0.5, {ARROW_STREAM};q=0.7, {JSON};q=0.8", JSON),
        (f"{MESSAGE_PACK}, {OCTETS}", OCTETS),
        (f"{MESSAGE_PACK}, application/*;q=0.1", MESSAGE_PACK),
    ],
)
def test_the_type_that_is_wanted_most_of_those_on_offer(accept, answer):
    assert preferred(accept, (OCTETS, ARROW_STREAM, MESSAGE_PACK)) == answer
