"""Lists of labels that came before: the same request, however it is written, reads as if nothing were known."""

import json

import pytest
from pydantic import ValidationError

from simila.api.known_labels import FEWEST_LABELS, KnownLabels
from simila.api.schemas.classification import ClassifyRequest

NAMES = [*(f"label {number}" for number in range(FEWEST_LABELS - 1)), 'an "odd" \\ one, with ] and \u00e9']
KNOWN = json.dumps(NAMES)
REQUEST = {"model": "m", "input": ["a"], "labels": NAMES}


@pytest.fixture
def known():
    labels = KnownLabels()
    labels.read(json.dumps(REQUEST).encode())
    return labels


def request(**changes):
    return json.dumps({**REQUEST, **changes})


def classes_of(body):
    return body.classes(reader=None)


def test_the_classes_of_a_list_that_came_before_are_the_same_object():
    known = KnownLabels()
    first = known.read(request().encode())
    second = known.read(request(input=["b"], top_k=3).encode())
    assert classes_of(second) is classes_of(first)
    assert classes_of(first) == tuple(NAMES)
    assert (second.input, second.top_k) == (["b"], 3)


@pytest.mark.parametrize(
    "content",
    [
        f'{{"labels": {KNOWN}, "model": "m", "input": "a"}}',
        f'{{"model": "m", "input": "a",\n\t"labels"\r\n :  {KNOWN} }}',
        f'{{"model": "m", "input": "\\"labels\\": {json.dumps(KNOWN)[1:-1]}", "labels": {KNOWN}}}',
        f'{{"model": "m", "input": "a", "labels": {KNOWN[:-1]}, "one more"]}}',
        f'{{"model": "m", "input": "a", "labels": ["other"], "labels": {KNOWN}}}',
        f'{{"model": "m", "input": "a", "labels": {KNOWN}, "labels": ["other", "two"]}}',
        f'{{"model": "m", "input": "a", "label_metric": {{"labels": {KNOWN}, "distances": []}}, "labels": {KNOWN}}}',
        f'{{"model": "m", "input": "a", "label_metric": {{"labels": {KNOWN}, "distances": []}}, "labels": ["x", "y"]}}',
        f'{{"model": "m", "input": "a", "labels": ["x", "y"], "label_metric": {{"labels": {KNOWN}, "distances": []}}}}',
        '{"model": "m", "input": "a", "classifier_id": null, "labels": ["x", "y"]}',
        '{"model": "m", "input": "a", "\\"labels\\"": 1}',
        f'{{"model": "m", "input": "a", "labels": {KNOWN}, "mood": 1}}',
        f'{{"model": "m", "input": "a", "labels": {KNOWN}}}}}',
        f'{{"model": "m", "input": "a", "labels": {KNOWN}',
        f'{{"classifier_id": "c", "input": "a", "labels": {KNOWN}}}',
        f"{KNOWN}",
        "",
    ],
)
def test_whatever_is_known_a_request_reads_as_it_would(known, content):
    try:
        expected = ClassifyRequest.model_validate_json(content)
    except ValidationError:
        with pytest.raises(ValidationError):
            known.read(content.encode())
        return
    read = known.read(content.encode())
    assert classes_of(read) == classes_of(expected)
    assert read.model_dump(exclude={"labels"}) == expected.model_dump(exclude={"labels"})


def test_the_mark_cannot_be_guessed(known):
    other = KnownLabels()
    assert known._mark != other._mark
    body = known.read(request(labels=[other._mark, *NAMES]).encode())
    assert classes_of(body)[0] == other._mark


@pytest.mark.parametrize(
    "labels",
    [NAMES[: FEWEST_LABELS - 1], [*NAMES, {"label": "x", "phrases": ["y", "z"]}]],
    ids=["a short list", "not names alone"],
)
def test_other_lists_are_read_each_time(labels):
    known = KnownLabels()
    first, second = (classes_of(known.read(request(labels=labels).encode())) for _ in range(2))
    assert first == second
    assert first is not second


def test_the_lists_that_came_longest_ago_are_dropped():
    lists = [[f"{name} of {number}" for name in NAMES] for number in range(3)]
    bodies = [request(labels=labels).encode() for labels in lists]
    known = KnownLabels(most_bytes=2 * len(json.dumps(lists[0])))
    first, second = (classes_of(known.read(body)) for body in bodies[:2])
    assert classes_of(known.read(bodies[0])) is first
    classes_of(known.read(bodies[2]))
    assert classes_of(known.read(bodies[0])) is first
    assert classes_of(known.read(bodies[1])) is not second
    assert len(known._classes) == 2


def test_a_list_that_is_not_the_labels_of_its_request_is_not_learned():
    others, metric = [f"other {name}" for name in NAMES], {"labels": NAMES, "distances": []}
    known = KnownLabels()
    known.read(json.dumps({**REQUEST, "labels": others, "label_metric": metric}).encode())
    assert classes_of(known.read(request().encode())) == tuple(NAMES)
