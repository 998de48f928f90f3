"""What labelled items teach, on the wire."""

import json

from simila_client import ClassFigures, Evaluation, Forgotten, classifier_wire
from simila_client.request import parse_response

FIGURES = {"label": "cat", "support": 4, "precision": 0.75, "recall": 0.5, "f1": 0.6}
REPORT = {
    "method": "knn",
    "protocol": "held_out",
    "items": 4,
    "accuracy": 0.5,
    "macro_f1": 0.6,
    "classes": [FIGURES],
    "confusion": [[2]],
    "calibration": {"error": 0.25, "bins": []},
    "open_set": {"auroc": 0.9, "unknown_items": 2},
}


def read(request, body):
    return parse_response(request, 200, {}, json.dumps(body).encode())


def test_an_evaluation_is_asked_for_and_read():
    request = classifier_wire.evaluate("pets", method="knn", k=3, held_out=None)
    assert (request.method, request.path) == ("POST", "/v1/collections/pets/evaluate")
    assert request.json == {"method": "knn", "k": 3}
    figures = (ClassFigures("cat", 4, 0.75, 0.5, 0.6),)
    assert read(request, REPORT) == Evaluation("knn", "held_out", 4, 0.5, 0.6, figures, ((2,),), 0.25, 0.9)
    assert read(request, {**REPORT, "open_set": None}).open_set_auroc is None


def test_a_picture_is_asked_for_by_its_media_type():
    request = classifier_wire.evaluation_picture("pets", method="blend")
    assert request.all_headers() == {"content-type": "application/json", "accept": "image/png"}
    assert request.json == {"method": "blend"}


def test_a_receipt_is_read():
    request = classifier_wire.forget("pets", ids=["1"], label=None)
    counts = {"classes": {"cat": 1}, "remaining": {"cat": 3}}
    classifiers = {"stale_classifiers": ["0a"], "unreadable_classifiers": ["0b"]}
    answer = {"forgotten": 1, "ids": ["1"], "verified": True, **classifiers, **counts}
    assert (request.path, request.json) == ("/v1/collections/pets/forget", {"ids": ["1"]})
    assert read(request, answer) == Forgotten(
        1,
        ("1",),
        {"cat": 1},
        {"cat": 3},
        verified=True,
        stale_classifiers=("0a",),
        unreadable_classifiers=("0b",),
    )


def test_classification_by_example_names_only_what_was_asked_for():
    request = classifier_wire.classify_by_example("pets", ["a"], method="knn", k=3, unknown=None)
    assert request.json == {"input": [{"text": "a"}], "method": "knn", "k": 3}
