"""Classes, rules, trainings and priors on the wire."""

import json

import numpy as np

from simila_client import (
    Classification,
    Classifier,
    Example,
    KeywordClass,
    LabelMetric,
    Prediction,
    Refinement,
    Rules,
    Trained,
    VectorClass,
    classifier_wire,
)
from simila_client.request import parse_response


def read(request, body, status=200, headers=None):
    return parse_response(request, status, headers or {}, json.dumps(body).encode())


def test_classifications_are_read():
    food = {"label": "Food", "score": 0.75, "cosine": 0.31}
    other = {"label": "Other", "score": 0.25, "cosine": 0.2}
    row = {"object": "classification", "index": 0, "prediction": "Food", "score": 0.75, "predictions": [food, other]}
    request = classifier_wire.classify(["a"], model="m", labels=["Food", "Other"], templates=["a photo of {}"], top_k=2)

    found = read(request, {"usage": {"total_tokens": 3}, "data": [row]})

    expected = (Prediction("Food", 0.75, 0.31), Prediction("Other", 0.25, 0.2))
    assert found == (Classification("Food", 0.75, expected),)
    assert request.json["templates"] == ["a photo of {}"]
    assert request.json["top_k"] == 2


def test_nearest_mean_takes_vectors_too():
    request = classifier_wire.classify_by_example("cats", ["a", b"x", np.array([0.5, 0.25], dtype=np.float32)], top_k=1)

    assert (request.method, request.path) == ("POST", "/v1/collections/cats/classify")
    assert request.json == {"input": [{"text": "a"}, {"image": "eA=="}, {"vector": [0.5, 0.25]}], "top_k": 1}


def test_a_training_sends_its_examples_and_options():
    examples = [Example("sushi", "food"), Example(b"\x01", "nature"), Example([1.0, 2.0], "food")]
    request = classifier_wire.train(examples, model="m", method=None, name="n")
    assert (request.method, request.path) == ("POST", "/v1/train")
    assert request.json == {
        "model": "m",
        "name": "n",
        "input": [
            {"text": "sushi", "label": "food"},
            {"image": "AQ==", "label": "nature"},
            {"vector": [1.0, 2.0], "label": "food"},
        ],
    }
    answer = {"classifier_id": "0a", "num_samples": 3, "state": "ready", "usage": {"total_tokens": 1}}
    assert request.parse(answer) == Trained("0a", 3, "ready")
    assert classifier_wire.train_on("shoes", filter={"a": 1}).json == {"collection": "shoes", "filter": {"a": 1}}


def test_classifiers_are_read_and_asked():
    entry = {
        "classifier_id": "0a", "state": "ready", "error": None, "model_name": "m", "method": "knn", "labels": ["a"],
        "num_samples": 2, "metadata": {"k": 3},
    }  # fmt: skip
    damaged = {**entry, "state": "unavailable", "labels": None}
    read = classifier_wire.classifiers().parse([entry, damaged])
    assert read[0] == Classifier("0a", "ready", None, "m", "knn", ("a",), 2, {"k": 3})
    assert read[1].labels == ()
    assert classifier_wire.classifier("../x").path == "/v1/classifiers/..%2Fx"
    assert classifier_wire.delete_classifier("0a").method == "DELETE"
    assert classifier_wire.classify_trained("0a", ["x"], top_k=1).json == {
        "classifier_id": "0a", "input": [{"text": "x"}], "top_k": 1,
    }  # fmt: skip


def test_classes_and_rules_are_written_as_the_server_reads_them():
    classes = ["a", KeywordClass("b", ["x", "y"]), VectorClass("c", np.array([0.5, 1.0]))]
    rules = Rules(
        thresholds={"a": 0.5},
        unknown_below=0.25,
        priors="estimate",
        label_metric=LabelMetric(["a", "b"], np.array([[0, 2], [2, 0]])),
        label_tree={"a": "r", "b": "r", "r": None},
        confidence=0.75,
    )
    written = classifier_wire.classify(["t"], model="m", labels=classes, rules=rules, views=["flip"]).json
    assert written == {
        "model": "m",
        "input": [{"text": "t"}],
        "labels": ["a", {"label": "b", "phrases": ["x", "y"]}, {"label": "c", "vector": [0.5, 1.0]}],
        "multi_label": {"thresholds": {"a": 0.5}},
        "unknown": {"threshold": 0.25},
        "priors": "estimate",
        "label_metric": {"labels": ["a", "b"], "distances": [[0.0, 2.0], [2.0, 0.0]]},
        "label_tree": {"parents": {"a": "r", "b": "r", "r": None}, "confidence": 0.75},
        "views": ["flip"],
    }
    assert classifier_wire.classify_trained("0a", ["t"], rules=Rules(thresholds=0.5)).json == {
        "classifier_id": "0a", "input": [{"text": "t"}], "multi_label": {"threshold": 0.5},
    }  # fmt: skip


def test_what_rules_add_is_read():
    row = {"index": 0, "prediction": None, "score": 0.5, "predictions": [], "labels": ["a", "b"], "rejected": True,
           "familiarity": 0.25, "expected_squared_distance": 2.0}  # fmt: skip
    (found,) = read(classifier_wire.classify_trained("0a", ["x"]), {"data": [row]})
    assert (found.label, found.labels, found.familiarity, found.expected_squared_distance) == (
        None, ("a", "b"), 0.25, 2.0,
    )  # fmt: skip


def test_a_refinement_is_asked_for_and_read():
    request = classifier_wire.train_on("docs", labels=[KeywordClass("a", ["x"]), "b"], method="keywords", most=40)
    labels = [{"label": "a", "phrases": ["x"]}, "b"]
    assert request.json == {"collection": "docs", "labels": labels, "method": "keywords", "most": 40}
    figures = {"judged_items": 7, "accuracy_before": 0.5, "accuracy_after": 0.75}
    entry = {
        "classifier_id": "0a", "state": "ready", "error": None, "model_name": "m", "method": "keywords",
        "labels": ["a", "b"], "num_samples": 2, "metadata": {}, "collection": "docs", "priors": {"a": 0.25, "b": 0.75},
        "refinement": figures,
    }  # fmt: skip
    found = classifier_wire.classifier("0a").parse(entry)
    assert (found.collection, found.priors) == ("docs", {"a": 0.25, "b": 0.75})
    assert found.refinement == Refinement(7, 0.5, 0.75)


def test_priors_are_set_and_taken_back():
    request = classifier_wire.set_priors("0a", inputs=["x"])
    assert (request.method, request.path) == ("PUT", "/v1/classifiers/0a/priors")
    assert request.json == {"input": [{"text": "x"}]}
    assert read(request, {"classifier_id": "0a", "priors": {"a": 1.0}, "inputs": 1, "usage": {}}) == {"a": 1.0}
    assert classifier_wire.set_priors("0a", priors={"a": 1.0}).json == {"priors": {"a": 1.0}}
    assert classifier_wire.delete_priors("0a").method == "DELETE"
