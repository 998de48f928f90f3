"""Class priors of the stream that a classifier is used on, kept with it."""

import httpx
import numpy as np
import pytest

from api.conftest import serving
from api.test_classifiers import ENCODER, LABELS, examples, labelled, train, wait  # noqa: F401 - a fixture
from api.wire import DIMENSION, error
from simila.settings import Settings
from tolerances import FLOAT64_VALUES

STREAM = [0] * 20 + [1] * 6 + [2] * 2  # mostly ants


@pytest.fixture
def classifier(api, examples):  # noqa: F811
    vectors, labels, _ = examples
    classifier_id = train(api, model=ENCODER, input=labelled(vectors, labels), method="logistic")
    wait(api, classifier_id)
    yield classifier_id
    api.delete(f"/v1/classifiers/{classifier_id}")


@pytest.fixture(scope="module")
def stream():
    random = np.random.default_rng(11)
    centres = np.random.default_rng(5).normal(size=(3, DIMENSION))
    rows = centres[STREAM] + 6 * random.normal(size=(len(STREAM), DIMENSION))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def ask(api, classifier_id, rows, **options):
    body = {"classifier_id": classifier_id, "input": [{"vector": row.tolist()} for row in rows], **options}
    response = api.post("/v1/classify", json=body)
    assert response.status_code == httpx.codes.OK, response.text
    return response.json()


def probabilities(answer):
    rows = [{one["label"]: one["score"] for one in entry["predictions"]} for entry in answer["data"]]
    return np.array([[row[label] for label in LABELS] for row in rows])


def put(api, classifier_id, **body):
    return api.put(f"/v1/classifiers/{classifier_id}/priors", json=body)


def test_priors_that_are_estimated_once_correct_every_answer_from_then_on(api, classifier, stream) -> None:
    plain = probabilities(ask(api, classifier, stream))
    answer = put(api, classifier, input=[{"vector": row.tolist()} for row in stream]).json()
    expected = np.full(3, 1 / 3)
    for _ in range(20_000):  # Saerens et al. 2002, step by step
        weighted = plain * expected * 3
        expected = (weighted / weighted.sum(axis=1, keepdims=True)).mean(axis=0)
    served = np.array([answer["priors"][label] for label in LABELS])
    np.testing.assert_allclose(served, expected, atol=1e-5)
    assert (served.argmax(), answer["inputs"]) == (0, len(stream))
    one_by_one = np.concatenate([probabilities(ask(api, classifier, stream[[row]])) for row in range(3)])
    weighted = plain[:3] * served
    np.testing.assert_allclose(one_by_one, weighted / weighted.sum(axis=1, keepdims=True), atol=FLOAT64_VALUES)
    assert api.get(f"/v1/classifiers/{classifier}").json()["priors"] == answer["priors"]
    equal = ask(api, classifier, stream[:3], priors=dict.fromkeys(LABELS, 1.0))
    np.testing.assert_allclose(probabilities(equal), plain[:3], atol=FLOAT64_VALUES)
    assert api.delete(f"/v1/classifiers/{classifier}/priors").status_code == httpx.codes.NO_CONTENT
    np.testing.assert_allclose(probabilities(ask(api, classifier, stream)), plain, atol=FLOAT64_VALUES)


def test_priors_that_are_known_outlive_the_server_and_end_with_the_classes_they_are_of(examples, data_folder):  # noqa: F811
    vectors, labels, inputs = examples
    settings = Settings(data_dir=data_folder(), encoders=(ENCODER,))
    with serving(settings) as url, httpx.Client(base_url=url) as api:
        classifier_id = train(api, model=ENCODER, input=labelled(vectors, labels))
        given = put(api, classifier_id, priors={"ant": 8, "bee": 1, "cow": 1}).json()["priors"]
        assert given == pytest.approx({"ant": 0.8, "bee": 0.1, "cow": 0.1})
        assert put(api, classifier_id, priors={"ant": 8e307, "bee": 8e307, "cow": 8e307}).json()["priors"]["ant"] > 0.3
        put(api, classifier_id, priors={"ant": 8, "bee": 1, "cow": 1})
        before = ask(api, classifier_id, inputs)
        assert before["priors"] == given
    with serving(settings) as url, httpx.Client(base_url=url) as api:
        assert ask(api, classifier_id, inputs) == before
        api.post("/v1/train", json={"classifier_id": classifier_id, "input": labelled(vectors[:1], ["ant"])})
        assert api.get(f"/v1/classifiers/{classifier_id}").json()["priors"] == given
        api.post("/v1/train", json={"classifier_id": classifier_id, "input": labelled(vectors[:1], ["dog"])})
        assert api.get(f"/v1/classifiers/{classifier_id}").json()["priors"] is None


@pytest.mark.parametrize(
    ("body", "status", "param", "words"),
    [
        ({}, 400, None, "exactly one of input, priors"),
        ({"priors": {"ant": 1.0}}, 400, "priors", "at odds: 'bee'"),
        ({"priors": dict.fromkeys([*LABELS, "dog"], 1.0)}, 400, "priors", "at odds: 'dog'"),
        ({"priors": dict.fromkeys(LABELS, -1.0)}, 400, "priors", "at least 0"),
        ({"priors": dict.fromkeys(LABELS, 0.0)}, 400, "priors", "one above 0"),
        ({"input": []}, 400, "input", "must not be empty"),
    ],
)
def test_priors_that_are_refused(api, classifier, body, status, param, words) -> None:
    response = put(api, classifier, **body)
    assert (response.status_code, error(response)["param"]) == (status, param), response.text
    assert words in error(response)["message"]


def test_a_classifier_that_is_not_there_has_no_priors(api) -> None:
    assert put(api, "none", priors={"a": 1.0}).status_code == httpx.codes.NOT_FOUND
    assert api.delete("/v1/classifiers/none/priors").status_code == httpx.codes.NOT_FOUND
