import json

import httpx
import numpy as np
import pytest
from scipy.special import softmax

from api.wire import b64, embed, vectors
from tolerances import FLOAT32_VALUES

LABELS = ["a cup of coffee", "a rocket launch", "a page of text", "a cat"]


def classify(api: httpx.Client, **body: object) -> dict:
    response = api.post("/v1/classify", json={"model": "simila-lite", **body})
    assert response.status_code == httpx.codes.OK, response.text
    return response.json()


def test_photographs_get_labels_that_imagenet_does_not_have(api: httpx.Client, photo) -> None:
    names = ["coffee.png", "rocket.jpg", "page.png", "chelsea.png"]
    body = classify(api, input=[{"image": b64(photo(name))} for name in names], labels=LABELS)
    assert [entry["prediction"] for entry in body["data"]] == LABELS


def test_scores_are_the_softmax_of_scaled_cosines(api: httpx.Client, photo) -> None:
    image = {"image": b64(photo("coffee.png"))}
    entry = classify(api, input=image, labels=LABELS)["data"][0]
    texts = vectors(embed(api, "simila-lite", [f"a photo of a {label}" for label in LABELS])).astype(np.float64)
    cosines = texts @ vectors(embed(api, "simila-lite", image))[0]
    order = np.argsort(-cosines)
    assert [prediction["label"] for prediction in entry["predictions"]] == [LABELS[i] for i in order]
    served = np.array([[prediction["score"], prediction["cosine"]] for prediction in entry["predictions"]])
    np.testing.assert_allclose(served[:, 0], softmax(8.0 * cosines)[order], atol=FLOAT32_VALUES)
    np.testing.assert_allclose(served[:, 1], cosines[order], atol=FLOAT32_VALUES)
    assert (entry["prediction"], entry["score"]) == (LABELS[order[0]], served[0, 0])


def test_top_k_cuts_the_ranking(api: httpx.Client) -> None:
    predictions = classify(api, input="espresso", labels=LABELS, top_k=2)["data"][0]["predictions"]
    everything = classify(api, input="espresso", labels=LABELS)["data"][0]["predictions"]
    assert predictions == everything[:2]


def test_templates_of_the_request_replace_the_encoders(api: httpx.Client) -> None:
    templates = ["{}", "a drawing of a {}"]
    served = classify(api, input="espresso", labels=LABELS, templates=templates)["data"][0]["predictions"]
    prompts = [template.replace("{}", label) for label in LABELS for template in templates]
    averaged = vectors(embed(api, "simila-lite", prompts)).reshape(4, 2, -1).mean(axis=1)
    prototypes = averaged / np.linalg.norm(averaged, axis=1, keepdims=True)
    cosines = dict(zip(LABELS, prototypes @ vectors(embed(api, "simila-lite", "espresso"))[0], strict=True))
    for prediction in served:
        assert prediction["cosine"] == pytest.approx(cosines[prediction["label"]], abs=FLOAT32_VALUES)


def test_a_text_encoder_classifies_texts(api: httpx.Client) -> None:
    body = classify(api, model="all-minilm-l6-v2", input=["the match ended 2:1"], labels=["sport", "cooking"])
    assert body["data"][0]["prediction"] == "sport"
    assert body["usage"]["total_tokens"] == 8


@pytest.mark.parametrize(
    ("change", "status", "param", "words"),
    [
        ({"labels": []}, 400, "labels", "at least 2 labels, got 0"),
        ({"labels": ["cat"]}, 400, "labels", "at least 2 labels, got 1"),
        ({"labels": ["cat", "   "]}, 400, "labels[1]", "labels[1]: the label is blank"),
        ({"labels": ["cat", "dog", "cat"]}, 400, "labels[2]", "'cat' occurs twice"),
        ({"labels": ["cat", "\ud800"]}, 400, "labels[1]", "lone surrogates"),
        ({"labels": [str(n) for n in range(21)]}, 413, "labels", "21 labels are more than the limit of 20"),
        ({"templates": []}, 400, "templates", "at least one prompt template"),
        ({"templates": ["a photo"]}, 400, "templates[0]", "has no {}"),
        ({"model": "efficientnet-lite0"}, 422, "model", "has no text tower"),
        ({"top_k": 0}, 400, "top_k", "greater than or equal to 1"),
        ({"input": []}, 400, "input", "must not be empty"),
    ],
)
def test_bad_requests(api: httpx.Client, change: dict, status: int, param: str, words: str) -> None:
    request = {"model": "simila-lite", "input": "a cat", "labels": ["cat", "dog"], **change}
    body = json.dumps(request)  # httpx would refuse the surrogate itself
    response = api.post("/v1/classify", content=body, headers={"content-type": "application/json"})
    detail = response.json()["error"]
    assert (response.status_code, detail["param"]) == (status, param)
    assert words in detail["message"]


@pytest.mark.parametrize(
    ("change", "param", "setting"),
    [
        ({"labels": ["x" * 1001, "b"]}, "labels[0]", "SIMILA_LIMITS__MAX_LABEL_CHARACTERS"),
        (
            {"labels": ["x" * 900, "b"], "templates": ["{}" * 400] * 20},
            "labels",
            "SIMILA_LIMITS__MAX_PROMPT_CHARACTERS",
        ),
    ],
)
def test_prompts_are_weighed_before_they_are_made(api: httpx.Client, change: dict, param: str, setting: str) -> None:
    response = api.post("/v1/classify", json={"model": "simila-lite", "input": "a", **change})
    assert (response.status_code, response.json()["error"]["param"]) == (413, param)
    assert setting in response.json()["error"]["message"]
