"""What a collection's labelled items teach: classify, evaluate, forget."""

import io

import httpx
import numpy as np
import pytest
from PIL import Image, ImageOps
from sklearn.datasets import load_digits
from sklearn.metrics import f1_score, precision_recall_curve
from sklearn.neighbors import KNeighborsClassifier

from api.wire import b64
from simila.classifiers.linear_scorer import NEAREST_MEAN_PRECISION
from simila.domain.vectors import unit_rows
from simila_client import Simila
from tolerances import FLOAT32_VALUES

DIMENSION = 384
ROWS = unit_rows(np.pad(load_digits().data[:160], ((0, 0), (0, DIMENSION - 64))).astype(np.float32))
LABELS = [f"digit {number}" for number in load_digits().target[:160]]
TAUGHT = 100


def votes_by_cosine(distances):
    return np.exp((1 - distances) / 0.07)


@pytest.fixture
def digits(api: httpx.Client, collection) -> str:
    path = collection("all-minilm-l6-v2")
    for start in range(0, TAUGHT, 50):
        items = [
            {"id": f"n{n}", "vector": ROWS[n].tolist(), "label": LABELS[n], "payload": {"n": n}}
            for n in range(start, start + 50)
        ]
        assert api.post(f"{path}/items", json={"items": items}).status_code == 200
    return path


def classify(api, path, rows, **options):
    body = {"input": [{"vector": row.tolist()} for row in rows], **options}
    response = api.post(f"{path}/classify", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def test_neighbours_agree_with_scikit_learn_item_by_item(api: httpx.Client, digits: str) -> None:
    model = KNeighborsClassifier(7, metric="cosine", weights=votes_by_cosine).fit(ROWS[:TAUGHT], LABELS[:TAUGHT])
    expected = model.predict(ROWS[TAUGHT:]).tolist()
    answer = classify(api, digits, ROWS[TAUGHT:], method="knn", k=7)
    assert [entry["prediction"] for entry in answer["data"]] == expected
    shares = {entry["label"]: entry["score"] for entry in answer["data"][0]["predictions"]}
    assert shares == pytest.approx(
        dict(zip(model.classes_, model.predict_proba(ROWS[TAUGHT:])[0], strict=True)), abs=FLOAT32_VALUES
    )


def test_only_what_matches_votes(api: httpx.Client, digits: str) -> None:
    answer = classify(api, digits, ROWS[:3], method="knn", k=1, filter={"n": {"$gte": 50}})
    model = KNeighborsClassifier(1, metric="cosine").fit(ROWS[50:TAUGHT], LABELS[50:TAUGHT])
    assert [entry["prediction"] for entry in answer["data"]] == model.predict(ROWS[:3]).tolist()


def test_what_is_like_no_item_is_rejected(api: httpx.Client, digits: str) -> None:
    stranger = np.zeros((1, DIMENSION), np.float32)
    stranger[0, -1] = 1
    for method in ("nearest_mean", "knn"):
        answer = classify(
            api, digits, np.concatenate([ROWS[:50], stranger]), method=method, unknown={"false_rejection_rate": 0.05}
        )
        rejected = [entry["rejected"] for entry in answer["data"]]
        assert (rejected[-1], answer["data"][-1]["prediction"]) == (True, None)
        assert sum(rejected[:-1]) <= 5


def test_a_calibrated_answer_ranks_alike_with_other_probabilities(api: httpx.Client, digits: str) -> None:
    plain, fitted = (classify(api, digits, ROWS[TAUGHT:], calibrated=flag)["data"] for flag in (False, True))
    assert [entry["prediction"] for entry in plain] == [entry["prediction"] for entry in fitted]
    assert plain[0]["score"] != fitted[0]["score"]


def test_fitted_thresholds_are_those_of_the_largest_f1_where_each_item_is_left_out(api: httpx.Client, digits) -> None:
    rows, names = ROWS[:TAUGHT].astype(np.float64), sorted(set(LABELS))
    own = np.array([names.index(label) for label in LABELS[:TAUGHT]])
    probabilities = np.empty((TAUGHT, len(names)))
    for item in range(TAUGHT):
        others = np.delete(np.arange(TAUGHT), item)
        means = np.stack([rows[others[own[others] == one]].mean(axis=0) for one in range(len(names))])
        logits = NEAREST_MEAN_PRECISION * -((rows[item] - means) ** 2).sum(axis=1) / 2
        probabilities[item] = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    fitted = {one["label"]: one["best_threshold"] for one in api.post(f"{digits}/evaluate", json={}).json()["classes"]}
    for column, name in enumerate(names):
        precision, recall, _ = precision_recall_curve(own == column, probabilities[:, column])
        best = (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max()
        assert f1_score(own == column, probabilities[:, column] >= fitted[name]) == pytest.approx(best)
    answers = classify(api, digits, ROWS[TAUGHT:], multi_label={"fitted": True})["data"]
    for answer in answers:
        above = [one["label"] for one in answer["predictions"] if one["score"] >= fitted[one["label"]]]
        assert answer["labels"] == above
    assert {len(answer["labels"]) for answer in answers} >= {1, 2}


def test_priors_of_the_stream_are_estimated(api: httpx.Client, digits: str) -> None:
    fives = ROWS[[n for n in range(TAUGHT, 160) if LABELS[n] == "digit 5"]]
    priors = classify(api, digits, fives, priors="estimate", calibrated=True)["priors"]
    assert max(priors, key=priors.get) == "digit 5"


def test_votes_are_corrected_from_how_frequent_the_classes_items_are(api: httpx.Client, digits: str) -> None:
    counts = {label: LABELS[:TAUGHT].count(label) for label in set(LABELS)}
    assert len(set(counts.values())) > 1
    plain = classify(api, digits, ROWS[TAUGHT:], method="knn")["data"]
    shares = classify(api, digits, ROWS[TAUGHT:], method="knn", priors={one: n / TAUGHT for one, n in counts.items()})
    for before, after in zip(plain, shares["data"], strict=True):
        expected = {one["label"]: one["score"] for one in before["predictions"]}
        assert {one["label"]: one["score"] for one in after["predictions"]} == pytest.approx(expected)


def test_a_blend_knows_what_its_classes_are_called(api: httpx.Client, collection) -> None:
    path = collection("all-minilm-l6-v2")
    items = [
        {"id": "1", "text": "my shoes need new laces", "label": "footwear"},
        {"id": "2", "text": "the oven is hot", "label": "cooking"},
    ]
    api.post(f"{path}/items", json={"items": items})
    body = {"input": ["boots and sandals", "a recipe for soup"], "method": "blend", "weight": 0.5}
    answer = api.post(f"{path}/classify", json=body).json()
    assert [entry["prediction"] for entry in answer["data"]] == ["footwear", "cooking"]


def test_evaluate_reports_what_classify_does(api: httpx.Client, digits: str) -> None:
    report = api.post(f"{digits}/evaluate", json={"method": "knn", "k": 3}).json()
    assert (report["method"], report["protocol"], report["items"]) == ("knn", "leave_one_out", TAUGHT)
    confusion = np.array(report["confusion"])
    assert report["accuracy"] == pytest.approx(np.trace(confusion) / TAUGHT)
    assert [entry["support"] for entry in report["classes"]] == confusion.sum(axis=1).tolist()
    assert report["macro_f1"] == pytest.approx(np.mean([entry["f1"] for entry in report["classes"]]))
    assert sum(one["count"] for one in report["calibration"]["bins"]) == TAUGHT
    assert report["open_set"] is None
    held = api.post(f"{digits}/evaluate", json={"held_out": 0.2, "hold_out_classes": ["digit 0"]}).json()
    assert held["protocol"] == "held_out"
    assert 0.9 < held["open_set"]["auroc"] <= 1
    assert held["open_set"]["unknown_items"] == LABELS[:TAUGHT].count("digit 0")


def test_evaluate_draws_a_picture_when_asked(api: httpx.Client, digits: str) -> None:
    response = api.post(f"{digits}/evaluate", json={}, headers={"accept": "image/png"})
    assert response.headers["content-type"] == "image/png"
    picture = Image.open(io.BytesIO(response.content))
    assert picture.width >= 900


def test_forget_answers_a_receipt(api: httpx.Client, digits: str) -> None:
    receipt = api.post(f"{digits}/forget", json={"ids": ["n0", "n1", "none"]}).json()
    counts = api.get(digits).json()["labels"]
    assert receipt == {
        "forgotten": 2,
        "ids": ["n0", "n1"],
        "classes": {LABELS[0]: 1, LABELS[1]: 1},
        "remaining": {LABELS[0]: counts[LABELS[0]], LABELS[1]: counts[LABELS[1]]},
        "verified": True,
        "stale_classifiers": receipt["stale_classifiers"],  # of collections that had this name before
        "unreadable_classifiers": [],
    }
    whole = api.post(f"{digits}/forget", json={"label": "digit 3"}).json()
    assert whole["remaining"] == {"digit 3": 0}
    predicted = classify(api, digits, ROWS[:1])["data"][0]["predictions"]
    assert "digit 3" not in {entry["label"] for entry in predicted}
    some = api.post(f"{digits}/forget", json={"filter": {"n": {"$lt": 20}}}).json()
    assert set(some["ids"]) == {f"n{n}" for n in range(2, 20) if LABELS[n] != "digit 3"}


@pytest.mark.parametrize(
    ("action", "body", "status", "param", "words"),
    [
        ("classify", {"method": "svm"}, 400, "method", "nearest_mean"),
        ("classify", {"method": "knn", "k": 1001}, 400, "k", "less than or equal to 1000"),
        ("classify", {"method": "knn", "k": 101}, 400, "k", "k is 101, more than the 100 labelled items"),
        ("classify", {"k": 3}, 400, "k", "k is an option of the method knn, not of nearest_mean"),
        ("classify", {"weight": 0.5}, 400, "weight", "an option of the method blend"),
        ("classify", {"method": "knn", "calibrated": True}, 400, "calibrated", "no temperature"),
        ("classify", {"method": "knn", "filter": {"n": -1}}, 422, "filter", "no labelled item"),
        ("classify", {"multi_label": {}}, 400, "multi_label", "exactly one of threshold, thresholds, fitted"),
        (
            "classify",
            {"method": "knn", "filter": {"n": 1}, "multi_label": {"fitted": True}},
            400,
            "filter",
            "leave the",
        ),
        (
            "classify",
            {"method": "knn", "filter": {"n": 1}, "priors": "estimate"},
            400,
            "filter",
            "leave the filter out",
        ),
        ("classify", {"unknown": {}}, 400, "unknown", "exactly one of threshold, false_rejection_rate"),
        ("classify", {"priors": {"digit 0": 1.0}}, 400, "priors", "one number a label"),
        ("evaluate", {"hold_out_classes": ["ten"]}, 400, "hold_out_classes", "no item has the label 'ten'"),
        ("evaluate", {"held_out": 1.5}, 400, "held_out", "less than 1"),
        ("evaluate", {"method": "knn", "k": 100}, 400, "k", "more than the 99 items"),
        ("forget", {}, 400, None, "exactly one of ids, label, filter"),
        ("forget", {"filter": {}}, 400, "filter", "it matches every item"),
        ("forget", {"ids": []}, 400, "ids", "must not be empty"),
    ],
)
def test_bad_requests(api: httpx.Client, digits: str, action, body, status, param, words) -> None:
    given = {"input": {"vector": ROWS[0].tolist()}} if action == "classify" else {}
    response = api.post(f"{digits}/{action}", json={**given, **body})
    detail = response.json()["error"]
    assert (response.status_code, detail["param"]) == (status, param), response.text
    assert words in detail["message"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"method": "blend"}, "has no text tower"),
        ({"calibrated": True}, "items of one class only"),
        ({"unknown": {"false_rejection_rate": 0.1}}, "items of one class only"),
    ],
)
def test_what_such_a_collection_cannot_do_is_said(api: httpx.Client, collection, body, words) -> None:
    path = collection("efficientnet-lite0")
    row = np.eye(1, 1280)[0].tolist()
    items = [{"id": "1", "vector": row, "label": "a"}]
    if body.get("method") == "blend":
        items.append({"id": "2", "vector": row, "label": "b"})
    api.post(f"{path}/items", json={"items": items})
    response = api.post(f"{path}/classify", json={"input": {"vector": row}, **body})
    assert response.status_code == 422
    assert words in response.json()["error"]["message"]


@pytest.mark.parametrize("action", ["delete", "forget"])
def test_when_all_items_of_a_class_go_a_classifier_that_uses_them_says_so(api, collection, action) -> None:
    path = collection("efficientnet-lite0")
    rows = np.eye(3, 1280).tolist()
    items = [{"id": label, "vector": row, "label": label} for label, row in zip("abc", rows, strict=True)]
    api.post(f"{path}/items", json={"items": items})
    body = {"input": {"vector": rows[2]}}
    of_all = {**body, "priors": {"a": 0.2, "b": 0.2, "c": 0.6}}
    assert api.post(f"{path}/classify", json=of_all).status_code == 200
    tree = {"parents": {"a": "r", "b": "r", "c": "r", "r": None}}
    gone = {"filter": {"$label": "c"}}
    assert api.post(f"{path}/items/delete" if action == "delete" else f"{path}/forget", json=gone).status_code == 200
    refused = api.post(f"{path}/classify", json=of_all)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "priors")
    assert "at odds: 'c'" in refused.json()["error"]["message"]
    left = api.post(f"{path}/classify", json={**body, "label_tree": tree}).json()["data"][0]
    assert {one["label"] for one in left["predictions"]} == {"a", "b"}
    api.delete(f"{path}/items/b")
    for method in ("nearest_mean", "knn", "blend"):
        refused = api.post(f"{path}/classify", json={**body, "method": method})
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "no_labelled_items")
        assert "items of one class only; 2 are needed" in refused.json()["error"]["message"]
    known = api.post(f"{path}/classify", json={"input": {"vector": rows[0]}, "unknown": {"threshold": 0.0}}).json()
    assert [one["prediction"] for one in known["data"]] == ["a"]


def test_where_no_class_has_two_items_none_is_judged_by_its_own(api, collection) -> None:
    path = collection("efficientnet-lite0")
    rows = np.eye(2, 1280).tolist()
    api.post(f"{path}/items", json={"items": [{"id": n, "vector": rows[int(n)], "label": n} for n in "01"]})
    report = api.post(f"{path}/evaluate", json={}).json()
    assert (report["items"], report["accuracy"]) == (2, 0.0)
    assert [one["best_threshold"] for one in report["classes"]] == [None, None]
    body = {"input": {"vector": rows[0]}}
    fitted = api.post(f"{path}/classify", json={**body, "multi_label": {"fitted": True}}).json()
    assert [one["labels"] for one in fitted["data"]] == [["0"]]
    refused = api.post(f"{path}/classify", json={**body, "calibrated": True})
    assert (refused.status_code, refused.json()["error"]["param"]) == (422, "calibrated")
    assert "no class has two items" in refused.json()["error"]["message"]


def test_without_labels_nothing_is_learned(api: httpx.Client, collection) -> None:
    path = collection("efficientnet-lite0")
    for action, body in (("classify", {"input": {"vector": [1.0] * 1280}}), ("evaluate", {})):
        response = api.post(f"{path}/{action}", json=body)
        error = response.json()["error"]
        assert (response.status_code, error["code"], error["param"]) == (422, "no_labelled_items", "name")


def test_the_client_evaluates_draws_and_forgets(server_url: str, digits: str, tmp_path) -> None:
    name = digits.rpartition("/")[2]
    with Simila(server_url) as client:
        found = client.evaluate(name, method="knn", k=3, picture=tmp_path / "picture.png")
        assert found.items == TAUGHT
        assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
        assert found.classes[0].best_threshold > 0
        (multi,) = client.classify_by_example(name, [ROWS[0]], fit_thresholds=True)
        assert multi.label in multi.labels
        rows = [row.tolist() for row in ROWS[:2]]
        assert [one.label for one in client.classify_by_example(name, rows, method="knn", k=1)] == LABELS[:2]
        receipt = client.forget(name, ids=["n0"])
        assert (receipt.items, receipt.ids, receipt.verified) == (1, ("n0",), True)


def test_views_of_a_photograph_are_averaged(api: httpx.Client, collection, photo) -> None:
    path = collection("efficientnet-lite0")
    image = photo("coffee.png")
    mirrored = io.BytesIO()
    ImageOps.mirror(Image.open(io.BytesIO(image))).save(mirrored, "png")
    both = [{"id": str(n), "image": b64(data), "label": "cup"} for n, data in enumerate((image, mirrored.getvalue()))]
    other = {"id": "other", "image": b64(photo("chelsea.png")), "label": "cat"}
    assert api.post(f"{path}/items", json={"items": [*both, other]}).status_code == 200
    body = {"input": [{"image": b64(image)}], "views": ["plain", "flip"]}
    best = api.post(f"{path}/classify", json=body).json()["data"][0]["predictions"][0]
    assert best["label"] == "cup"
    assert best["cosine"] == pytest.approx(1, abs=FLOAT32_VALUES)  # the mean of both views is the mean of the class
    plain = api.post(f"{path}/classify", json={"input": body["input"]}).json()["data"][0]["predictions"][0]
    assert plain["cosine"] < 1 - 100 * FLOAT32_VALUES
