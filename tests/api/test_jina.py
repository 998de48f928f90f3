"""Jina's embeddings, classification and training, with bodies as its documentation has them."""

import httpx
import numpy as np
import pytest

from api.wire import b64, embed, error, vectors
from tolerances import FLOAT32_VALUES

pytestmark = pytest.mark.protocol("Jina")


def test_texts_and_images_are_mixed(api: httpx.Client, photo) -> None:
    image = b64(photo("coffee.png"))
    body = {
        "model": "simila-lite",
        "normalized": True,
        "dimensions": 128,
        "task": "retrieval.query",
        "truncate": True,
        "input": [{"text": "a cup of coffee"}, {"image": image}, {"image": f"data:image/png;base64,{image}"}],
    }
    answer = api.post("/v1/embeddings", json=body).json()
    assert [entry["index"] for entry in answer["data"]] == [0, 1, 2]
    text, bare, uri = vectors(answer)
    np.testing.assert_array_equal(bare, uri)
    full = vectors(embed(api, "simila-lite", ["a cup of coffee", {"image": image}]))[:, :128]
    np.testing.assert_allclose([text, bare], full / np.linalg.norm(full, axis=1, keepdims=True), atol=FLOAT32_VALUES)


@pytest.mark.parametrize(
    "task", ["retrieval.query", "retrieval.passage", "text-matching", "classification", "separation"]
)
def test_its_tasks_are_known_and_an_encoder_without_prefixes_has_one_vector_for_all(
    api: httpx.Client, task: str
) -> None:
    served = vectors(embed(api, "all-minilm-l6-v2", "a cat", task=task))
    np.testing.assert_allclose(served, vectors(embed(api, "all-minilm-l6-v2", "a cat")), atol=FLOAT32_VALUES)


def test_a_long_text_is_refused_where_it_must_not_be_truncated(api: httpx.Client) -> None:
    body = {"model": "all-minilm-l6-v2", "input": [{"text": "word " * 600}], "truncate": False}
    response = api.post("/v1/embeddings", json=body)
    assert (response.status_code, error(response)["code"]) == (422, "context_length_exceeded")


@pytest.mark.parametrize(("field", "value"), [("task", "poetry"), ("normalized", False), ("late_chunking", True)])
def test_what_cannot_be_had_is_refused_and_not_passed_over(api: httpx.Client, field: str, value: object) -> None:
    body = {"model": "all-minilm-l6-v2", "input": ["a"], field: value}
    response = api.post("/v1/embeddings", json=body)
    assert (response.status_code, error(response)["param"]) == (400, field)


def test_labels_are_ranked_in_its_shape(api: httpx.Client, photo) -> None:
    image = {"image": b64(photo("coffee.png"))}
    labels = ["Food", "Nature", "Gadgets"]
    body = {"model": "simila-lite", "input": [image, {"text": "sushi rolls"}], "labels": labels}
    answer = api.post("/v1/classify", json=body).json()
    assert set(answer) == {"usage", "data"}
    for index, entry in enumerate(answer["data"]):
        assert (entry["object"], entry["index"]) == ("classification", index)
        best = max(entry["predictions"], key=lambda prediction: prediction["score"])
        assert (entry["prediction"], entry["score"]) == (best["label"], best["score"])
        assert sorted(prediction["label"] for prediction in entry["predictions"]) == sorted(labels)
    assert answer["data"][1]["prediction"] == "Food"


def test_a_classifier_is_trained_used_listed_and_deleted(api: httpx.Client) -> None:
    examples = [{"text": "fresh sushi on a board", "label": "Food"}, {"text": "a forest in fog", "label": "Nature"}]
    body = {"model": "all-minilm-l6-v2", "access": "private", "num_iters": 10, "input": examples}
    trained = api.post("/v1/train", json=body).json()
    assert (set(trained) >= {"classifier_id", "num_samples", "usage"}, trained["num_samples"]) == (True, 2)
    classifier_id = trained["classifier_id"]
    more = {"classifier_id": classifier_id, "input": [{"text": "noodle soup", "label": "Food"}]}
    assert api.post("/v1/train", json=more).json()["num_samples"] == 3
    question = {"classifier_id": classifier_id, "input": [{"text": "sushi rolls"}, {"text": "a river"}]}
    answer = api.post("/v1/classify", json=question).json()
    assert [entry["prediction"] for entry in answer["data"]] == ["Food", "Nature"]
    (entry,) = (one for one in api.get("/v1/classifiers").json() if one["classifier_id"] == classifier_id)
    assert (entry["model_name"], entry["labels"], entry["used_number"]) == ("all-minilm-l6-v2", ["Food", "Nature"], 1)
    assert api.delete(f"/v1/classifiers/{classifier_id}").status_code == httpx.codes.NO_CONTENT
    assert api.post("/v1/classify", json=question).status_code == httpx.codes.NOT_FOUND


@pytest.mark.parametrize(("embedding_type", "offset"), [("ubinary", 0), ("binary", -128)])
def test_a_bit_a_value_is_packed_as_it_packs_them(api: httpx.Client, embedding_type: str, offset: int) -> None:
    served = embed(api, "all-minilm-l6-v2", "a cat", embedding_type=embedding_type)["data"][0]["embedding"]
    full = vectors(embed(api, "all-minilm-l6-v2", "a cat"))[0]
    assert served == (np.packbits(full > 0).astype(int) + offset).tolist()
