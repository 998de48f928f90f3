import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid

from api.conftest import serving
from api.wire import DIMENSION, b64, error, upsert
from simila.settings import Settings

ENCODER = "efficientnet-lite0"
LABELS = ["ant", "bee", "cow"]
# A ridge of half a second took ten times as long beside six busy threads on two cores: BLAS waits for its slowest.
PATIENCE_SECONDS = 300


@pytest.fixture(scope="module")
def examples():
    """Vectors of three classes that overlap: `float32 [60, d], unit length`, their labels, and 30 inputs."""
    random = np.random.default_rng(5)
    centres = random.normal(size=(3, DIMENSION))
    vectors = np.repeat(centres, 30, axis=0) + 4 * random.normal(size=(90, DIMENSION))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    known = np.arange(90) % 30 < 20
    return vectors[known], np.repeat(LABELS, 20), vectors[~known]


def labelled(vectors, labels) -> list[dict]:
    return [{"vector": vector.tolist(), "label": str(label)} for vector, label in zip(vectors, labels, strict=True)]


def train(api: httpx.Client, **body: object) -> str:
    response = api.post("/v1/train", json=body)
    assert response.status_code in (httpx.codes.OK, httpx.codes.ACCEPTED), response.text
    return response.json()["classifier_id"]


def wait(api: httpx.Client, classifier_id: str) -> dict:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        entry = api.get(f"/v1/classifiers/{classifier_id}").json()
        if entry["state"] != "training":
            return entry
        time.sleep(0.02)
    pytest.fail(f"classifier {classifier_id} was not trained within {PATIENCE_SECONDS} s: {entry}")


def classify(api: httpx.Client, classifier_id: str, inputs, **options: object) -> list[dict]:
    rows = [{"vector": vector.tolist()} for vector in inputs]
    response = api.post("/v1/classify", json={"classifier_id": classifier_id, "input": rows, **options})
    assert response.status_code == httpx.codes.OK, response.text
    return response.json()["data"]


@pytest.mark.parametrize(
    ("method", "options", "reference"),
    [
        ("nearest_mean", {}, NearestCentroid()),
        ("knn", {"k": 5}, KNeighborsClassifier(5, weights=lambda distances: np.exp(-(distances**2) / 0.14))),
        ("ridge", {"penalty": 0.5}, Ridge(0.5)),
        ("logistic", {"penalty": 0.5}, LogisticRegression(C=2, max_iter=1000)),
    ],
)
def test_each_method_says_what_scikit_learn_says(api, examples, method, options, reference) -> None:
    vectors, labels, inputs = examples
    classifier_id = train(api, model=ENCODER, input=labelled(vectors, labels), method=method, **options)
    entry = wait(api, classifier_id)
    assert (entry["state"], entry["labels"], entry["num_samples"]) == ("ready", LABELS, 60)
    targets = np.eye(3)[[LABELS.index(label) for label in labels]] if method == "ridge" else labels
    expected = reference.fit(vectors.astype(np.float64), targets).predict(inputs.astype(np.float64))
    if method == "ridge":
        expected = np.array(LABELS)[expected.argmax(axis=1)]
    served = [decision["prediction"] for decision in classify(api, classifier_id, inputs)]
    assert served == expected.tolist()
    api.delete(f"/v1/classifiers/{classifier_id}")


def test_logistic_probabilities_are_scikit_learns_as_sure_as_held_out_examples_allow(api, examples) -> None:
    vectors, labels, inputs = examples
    classifier_id = train(api, model=ENCODER, input=labelled(vectors, labels), method="logistic")
    wait(api, classifier_id)
    model = LogisticRegression(max_iter=1000).fit(vectors.astype(np.float64), labels)
    logits = []
    for decision in classify(api, classifier_id, inputs):
        served = {prediction["label"]: np.log(prediction["score"]) for prediction in decision["predictions"]}
        logits.append([served[label] - served["ant"] for label in LABELS])
    expected = model.decision_function(inputs.astype(np.float64))
    expected -= expected[:, :1]
    scale = np.vdot(logits, expected) / np.vdot(expected, expected)
    np.testing.assert_allclose(logits, scale * expected, atol=1e-6 * scale)
    assert scale > 1  # a penalised probe says less than it knows


def test_examples_added_one_by_one_are_the_same_as_all_at_once(api, examples) -> None:
    vectors, labels, inputs = examples
    at_once = train(api, model=ENCODER, input=labelled(vectors, labels))
    order = np.random.default_rng(1).permutation(60)
    first = order[:2]
    assert len(set(labels[first])) == 2
    streamed = train(api, model=ENCODER, input=labelled(vectors[first], labels[first]))
    for part in np.array_split(order[2:], 4):
        answer = api.post("/v1/train", json={"classifier_id": streamed, "input": labelled(vectors[part], labels[part])})
        assert answer.status_code == httpx.codes.OK, answer.text
    assert answer.json() == {
        "classifier_id": streamed, "num_samples": 60, "state": "ready", "usage": {"total_tokens": 0},
    }  # fmt: skip
    assert classify(api, streamed, inputs) == classify(api, at_once, inputs)
    entry = api.get(f"/v1/classifiers/{streamed}").json()
    assert (entry["updated_number"], entry["used_number"], entry["labels"]) == (4, 1, LABELS)


def test_a_collection_trains_a_classifier(api, examples, collection) -> None:
    vectors, labels, inputs = examples
    path = collection(ENCODER)
    items = [
        {"id": str(n), "vector": vector.tolist(), "label": str(label), "payload": {"n": n}}
        for n, (vector, label) in enumerate(zip(vectors, labels, strict=True))
    ]
    upsert(api, path, *items)
    name = path.rpartition("/")[2]
    direct = train(api, model=ENCODER, input=labelled(vectors, labels))
    for method in ("nearest_mean", "ridge"):
        assert wait(api, train(api, collection=name, method=method))["num_samples"] == 60
    of_all = train(api, collection=name)
    wait(api, of_all)
    served, expected = classify(api, of_all, inputs), classify(api, direct, inputs)
    assert [one["prediction"] for one in served] == [one["prediction"] for one in expected]
    of_some = train(api, collection=name, filter={"n": {"$lt": 40}})
    assert wait(api, of_some)["labels"] == ["ant", "bee"]
    refused = api.post("/v1/train", json={"collection": name, "filter": {"n": -1}})
    assert (refused.status_code, error(refused)["param"]) == (422, "collection")
    refused = api.post("/v1/train", json={"collection": name, "filter": {"n": {"$lt": 10}}})
    assert (refused.status_code, error(refused)["param"]) == (422, "collection")
    assert "have 1 labels; training needs at least 2" in error(refused)["message"]
    classes = [{"label": label, "vector": vectors[n].tolist()} for n, label in enumerate("ab")]
    alone = {"filter": {"n": 0}, "method": "label_propagation", "labels": classes}
    failed = wait(api, train(api, collection=name, **alone))
    assert (failed["state"], failed["error"]) == ("failed", "1 items are too few to have neighbours")
    refused = api.post("/v1/classify", json={"classifier_id": failed["classifier_id"], "input": "x"})
    assert refused.status_code == 422
    assert "could not be trained" in error(refused)["message"]


def test_classifiers_outlive_the_server_and_a_damaged_one_harms_no_other(examples, data_folder) -> None:
    vectors, labels, inputs = examples
    settings = Settings(data_dir=data_folder(), encoders=(ENCODER,))
    with serving(settings) as url, httpx.Client(base_url=url) as api:
        kept = train(api, model=ENCODER, input=labelled(vectors, labels), name="insects")
        damaged = train(api, model=ENCODER, input=labelled(vectors, labels), method="knn", k=3)
        before = classify(api, kept, inputs)
    (record,) = Path(settings.classifiers_dir, damaged).glob("*.json")
    record.write_bytes(record.read_bytes()[:-20])
    with serving(settings) as url, httpx.Client(base_url=url) as api:
        assert classify(api, kept, inputs) == before
        whole, broken = api.get("/v1/classifiers").json()
        assert (whole["classifier_id"], whole["metadata"]) == (kept, {"name": "insects"})
        assert (broken["classifier_id"], broken["state"]) == (damaged, "unavailable")
        answer = api.post("/v1/classify", json={"classifier_id": damaged, "input": "x"})
        assert (answer.status_code, error(answer)["code"]) == (503, "classifier_unavailable")
        assert api.delete(f"/v1/classifiers/{damaged}").status_code == httpx.codes.NO_CONTENT
        assert [entry["classifier_id"] for entry in api.get("/v1/classifiers").json()] == [kept]


def test_a_trained_classifier_takes_photographs_and_rules(api, photo) -> None:
    images = [{"image": b64(photo(name)), "label": name} for name in ("coffee.png", "rocket.jpg", "chelsea.png")]
    classifier_id = train(api, model=ENCODER, input=images)
    inputs = [{"image": one["image"]} for one in images]
    body = {"classifier_id": classifier_id, "input": inputs, "unknown": {"threshold": 1e9}}
    answers = api.post("/v1/classify", json=body).json()["data"]
    assert [one["predictions"][0]["label"] for one in answers] == [one["label"] for one in images]
    assert [one["prediction"] for one in answers] == [None] * 3


VECTOR = [1.0] + [0.0] * (DIMENSION - 1)
ONE = [{"vector": VECTOR, "label": "a"}]
TWO = [*ONE, {"vector": VECTOR, "label": "b"}]


@pytest.mark.parametrize(
    ("body", "status", "param", "words"),
    [
        ({"model": ENCODER, "input": ONE}, 400, "input", "at least 2 labels, got 1"),
        ({"model": ENCODER, "input": [*ONE, {"text": "x", "label": " "}]}, 400, "input[1].label", "blank"),
        ({"model": ENCODER, "input": []}, 400, "input", "must not be empty"),
        ({"model": ENCODER, "input": [{"vector": VECTOR}]}, 400, "input[0].label", "is missing"),
        ({"model": ENCODER, "input": [*ONE, {"vector": [1], "label": "b"}]}, 400, "input[1]", "1 dimensions"),
        ({"model": "x", "input": ONE}, 404, "model", "unknown encoder"),
        ({"input": ONE}, 400, None, "exactly one of model, classifier_id, collection"),
        ({"classifier_id": "x", "input": ONE}, 404, "classifier_id", "there is no classifier 'x'"),
        ({"classifier_id": "x", "input": ONE, "method": "knn"}, 400, None, "method was fixed"),
        ({"model": ENCODER, "method": "svm", "input": TWO}, 400, "method", "nearest_mean"),
        ({"model": ENCODER, "k": 3, "input": TWO}, 400, "k", "no option of nearest_mean"),
        ({"model": ENCODER, "method": "ridge", "penalty": -1, "input": TWO}, 400, "penalty", "above 0"),
        ({"collection": "nowhere"}, 404, "collection", "there is no collection 'nowhere'"),
    ],
)
def test_trainings_that_are_refused(api, body, status, param, words) -> None:
    response = api.post("/v1/train", json=body)
    assert (response.status_code, error(response)["param"]) == (status, param), response.text
    assert words in error(response)["message"]


def test_only_a_nearest_mean_classifier_learns_more(api, examples) -> None:
    vectors, labels, _ = examples
    classifier_id = train(api, model=ENCODER, input=labelled(vectors, labels), method="knn")
    body = {"classifier_id": classifier_id, "input": labelled(vectors[:1], labels[:1])}
    refused = api.post("/v1/train", json=body)
    assert (refused.status_code, error(refused)["param"]) == (422, "classifier_id")


@pytest.mark.parametrize("method", ["get", "delete"])
def test_a_classifier_that_is_not_there_is_not_found(api, method) -> None:
    response = api.request(method, "/v1/classifiers/..%2Fcollections")
    assert response.status_code == httpx.codes.NOT_FOUND
