import io
import json

import httpx
import numpy as np
import pytest
from PIL import Image, ImageOps
from scipy.special import softmax

from api.wire import b64, embed, vectors
from simila.classifiers.template_sets import template_set
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
        ({"priors": "guess"}, 400, "priors", "should be 'estimate'"),
        ({"priors": [1]}, 400, "priors", "should be a valid dictionary"),
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


def test_a_list_that_was_refused_is_refused_again(api: httpx.Client) -> None:
    request = {"model": "simila-lite", "input": "a cat", "labels": [f"label {number}" for number in range(70)]}
    refusals = [api.post("/v1/classify", json={**request, "input": text}) for text in ("a cat", "a dog")]
    assert [refusal.status_code for refusal in refusals] == [413, 413]
    assert refusals[0].json() == refusals[1].json()


@pytest.mark.parametrize(
    ("change", "param", "setting"),
    [
        ({"labels": ["x" * 1001, "b"]}, "labels[0]", "SIMILA_LIMITS__MAX_LABEL_CHARACTERS"),
        (
            {"labels": ["x" * 900, "b"], "templates": ["{}" * 400] * 60},
            "labels",
            "SIMILA_LIMITS__MAX_PROMPT_CHARACTERS",
        ),
    ],
)
def test_prompts_are_weighed_before_they_are_made(api: httpx.Client, change: dict, param: str, setting: str) -> None:
    response = api.post("/v1/classify", json={"model": "simila-lite", "input": "a", **change})
    assert (response.status_code, response.json()["error"]["param"]) == (413, param)
    assert setting in response.json()["error"]["message"]


def test_a_named_template_set_is_its_templates(api: httpx.Client) -> None:
    options = {"input": "espresso", "labels": LABELS}
    named = classify(api, **options, template_set="clip-7")
    assert named == classify(api, **options, templates=list(template_set("clip-7")))


def test_phrases_and_vectors_stand_beside_names(api: httpx.Client) -> None:
    given = vectors(embed(api, "simila-lite", "a photo of a cat"))[0].tolist()
    labels = ["a rocket launch", {"label": "cat", "vector": given}, {"label": "drink", "phrases": ["tea", "coffee"]}]
    image = {"vector": given}
    (entry,) = classify(api, input=image, labels=labels)["data"]
    assert (entry["prediction"], entry["predictions"][0]["cosine"]) == ("cat", pytest.approx(1, abs=FLOAT32_VALUES))
    prompts = vectors(embed(api, "simila-lite", ["a photo of a tea", "a photo of a coffee"])).mean(axis=0)
    cosines = {prediction["label"]: prediction["cosine"] for prediction in entry["predictions"]}
    expected = prompts @ given / np.linalg.norm(prompts)
    assert cosines["drink"] == pytest.approx(expected, abs=FLOAT32_VALUES)


def test_classes_given_as_vectors_need_no_text_tower(api: httpx.Client, photo) -> None:
    names = ["coffee.png", "chelsea.png"]
    images = [{"image": b64(photo(name))} for name in names]
    given = vectors(embed(api, "efficientnet-lite0", images)).tolist()
    labels = [{"label": name, "vector": vector} for name, vector in zip(names, given, strict=True)]
    body = classify(api, model="efficientnet-lite0", input=images, labels=labels)
    assert [entry["prediction"] for entry in body["data"]] == names


def test_an_input_of_no_class_is_rejected(api: httpx.Client, photo) -> None:
    images = [{"image": b64(photo(name))} for name in ("coffee.png", "rocket.jpg")]
    labels = ["a cup of coffee", "a bowl of soup"]
    open_set = classify(api, input=images, labels=labels, unknown={"threshold": 0})["data"]
    between = sum(entry["familiarity"] for entry in open_set) / 2
    coffee, rocket = classify(api, input=images, labels=labels, unknown={"threshold": between})["data"]
    assert (coffee["prediction"], coffee["rejected"]) == ("a cup of coffee", False)
    assert (rocket["prediction"], rocket["rejected"]) == (None, True)
    assert rocket["score"] == rocket["predictions"][0]["score"]


def test_rules_answer_with_what_they_found(api: httpx.Client) -> None:
    tree = {"parents": {"thing": None, "drink": "thing", "tea": "drink", "coffee": "drink", "cat": "thing"}}
    metric = {"labels": ["tea", "coffee", "cat"], "distances": [[0, 1, 5], [1, 0, 5], [5, 5, 0]]}
    options = {"input": ["espresso"], "labels": ["tea", "coffee", "cat"]}
    (plain,) = classify(api, **options)["data"]
    scores = {prediction["label"]: prediction["score"] for prediction in plain["predictions"]}
    (by_tree,) = classify(api, **options, label_tree={**tree, "confidence": plain["score"] + 1e-3})["data"]
    assert (by_tree["prediction"], by_tree["score"]) == ("drink", pytest.approx(scores["tea"] + scores["coffee"]))
    (by_metric,) = classify(api, **options, label_metric=metric)["data"]
    expected = min(scores["tea"] + 25 * scores["cat"], scores["coffee"] + 25 * scores["cat"])
    assert by_metric["expected_squared_distance"] == pytest.approx(expected)
    (many,) = classify(api, **options, multi_label={"threshold": 0.0})["data"]
    assert many["labels"] == [prediction["label"] for prediction in plain["predictions"]]
    body = classify(api, **options, priors={"tea": 98, "coffee": 1, "cat": 1})
    assert (body["data"][0]["prediction"], body["priors"]["tea"]) == ("tea", pytest.approx(0.98))


@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        ({"model": None}, 400, None),
        ({"classifier_id": "x"}, 400, None),
        ({"template_set": "oil"}, 400, "template_set"),
        ({"template_set": "plain", "templates": ["{}"]}, 400, "template_set"),
        ({"labels": ["cat", {"label": "dog", "vector": [1, 0]}]}, 400, "labels[1].vector"),
        ({"labels": ["cat", {"label": "dog", "phrases": []}]}, 400, "labels[1].phrases"),
        ({"multi_label": {}}, 400, "multi_label"),
        ({"multi_label": {"thresholds": {"cat": 0.5}}}, 400, "multi_label.thresholds"),
        ({"label_metric": {"labels": ["cat", "dog"], "distances": [[0, 1], [2, 0]]}}, 400, "label_metric"),
        ({"label_metric": {"labels": ["cat", "dog"], "distances": [[0, -1], [-1, 0]]}}, 400, "label_metric"),
        ({"label_metric": {"labels": ["cat", "dog"], "distances": [[0, 1]]}}, 400, "label_metric"),
        ({"label_metric": {"labels": ["cat", "cow"], "distances": [[0, 1], [1, 0]]}}, 400, "label_metric"),
        ({"label_tree": {"parents": {"cat": None, "dog": None}}}, 400, "label_tree"),
        ({"priors": {"cat": 1, "dog": -1}}, 400, "priors"),
        ({"unknown": {"threshold": None}}, 400, "unknown.threshold"),
        ({"unknown": {"false_rejection_rate": 0.1}}, 400, "unknown"),
        ({"label_tree": {"parents": {}}}, 400, "label_tree.parents"),
    ],
)
def test_rules_that_are_none(api: httpx.Client, change: dict, status: int, param: str) -> None:
    request = {"model": "simila-lite", "input": "a cat", "labels": ["cat", "dog"], **change}
    response = api.post("/v1/classify", json={name: value for name, value in request.items() if value is not None})
    assert (response.status_code, response.json()["error"]["param"]) == (status, param), response.text


def test_views_of_a_photograph_are_averaged(api: httpx.Client, photo) -> None:
    mirrored = io.BytesIO()
    ImageOps.mirror(Image.open(io.BytesIO(photo("coffee.png")))).save(mirrored, "png")
    both = [{"image": b64(data)} for data in (photo("coffee.png"), mirrored.getvalue())]
    image = vectors(embed(api, "simila-lite", both)).mean(axis=0)
    (entry,) = classify(api, input=both[:1], labels=LABELS, views=["plain", "flip"])["data"]
    texts = vectors(embed(api, "simila-lite", [f"a photo of a {label}" for label in LABELS]))
    expected = dict(zip(LABELS, texts @ image / np.linalg.norm(image), strict=True))
    assert {one["label"]: one["cosine"] for one in entry["predictions"]} == pytest.approx(expected, abs=FLOAT32_VALUES)
