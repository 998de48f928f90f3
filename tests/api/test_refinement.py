"""Classes that learn from a collection's items without labels, and what becomes of them when items are forgotten."""

from itertools import pairwise

import httpx
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neighbors import LocalOutlierFactor, kneighbors_graph

from api.conftest import serving
from api.test_classifiers import classify, train, wait
from api.wire import error
from simila.domain.vectors import unit_rows
from simila.settings import Settings
from simila_client import Conflict, KeywordClass, Rules, Simila
from tolerances import FLOAT32_VALUES

ENCODER = "all-minilm-l6-v2"
DIMENSION = 384
COUNT = 300
PIXELS, DIGITS = (whole[:COUNT] for whole in load_digits(return_X_y=True))
ROWS = unit_rows(np.pad(PIXELS - PIXELS.mean(axis=0), ((0, 0), (0, DIMENSION - 64))).astype(np.float32))
LABELS = [f"digit {digit}" for digit in DIGITS]
NAMES = sorted(set(LABELS))
COOKING = ["stove", "oven", "soup", "pasta", "bread", "knife", "pot", "salt"]
SPORT = ["kick", "goal", "ball", "referee", "league", "coach", "match"]


def upsert(api: httpx.Client, path: str, items: list[dict]) -> None:
    for start in range(0, len(items), 50):
        response = api.post(f"{path}/items", json={"items": items[start : start + 50]})
        assert response.status_code == httpx.codes.OK, response.text


def digit_items(labelled) -> list[dict]:
    return [
        {"id": f"n{n}", "vector": ROWS[n].tolist(), "label": LABELS[n] if labelled(n) else None} for n in range(COUNT)
    ]


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def served_cosines(api, classifier_id, rows):
    answers = classify(api, classifier_id, rows)
    by_label = [{one["label"]: one["cosine"] for one in answer["predictions"]} for answer in answers]
    return np.array([[cosines[label] for label in sorted(cosines)] for cosines in by_label])


def moved(anchors, totals, weight):
    lengths = np.linalg.norm(totals, axis=1, keepdims=True)
    return unit(anchors + weight * totals / np.where(lengths > 0, lengths, 1))


def test_labels_spread_as_a_dense_solution_says_and_the_figures_are_of_what_was_held_out(api, collection) -> None:
    path = collection(ENCODER)
    # Seven of each class have a label: the fifth of each is judged.
    seen, labelled = dict.fromkeys(NAMES, 0), []
    for n in range(COUNT):
        seen[LABELS[n]] += 1
        labelled.append(seen[LABELS[n]] <= 7)
    upsert(api, path, digit_items(labelled.__getitem__))
    name = path.rpartition("/")[2]
    options = {"k": 6, "spread": 0.8, "item_weight": 1.5}
    entry = wait(api, train(api, collection=name, method="label_propagation", **options))
    assert (entry["state"], entry["num_samples"], entry["labels"]) == ("ready", COUNT, NAMES)

    rows = ROWS.astype(np.float64)
    joined = kneighbors_graph(rows, 6, metric="cosine").toarray()
    weights = np.where(np.maximum(joined, joined.T), np.maximum(rows @ rows.T, 0), 0)
    scale = 1 / np.sqrt(weights.sum(axis=0))
    spread = np.linalg.inv(np.eye(COUNT) - 0.8 * scale[:, np.newaxis] * weights * scale)

    def refined(known):
        seeds = np.eye(10)[DIGITS] * known[:, np.newaxis]
        start = unit(seeds.T @ rows)
        reached = (spread @ seeds).argmax(axis=1)
        return start, moved(start, np.eye(10)[reached].T @ rows, 1.5)

    known = np.array(labelled)
    _, expected = refined(known)
    np.testing.assert_allclose(
        served_cosines(api, entry["classifier_id"], ROWS[:20]), rows[:20] @ expected.T, atol=FLOAT32_VALUES
    )
    judged = np.zeros(COUNT, dtype=bool)
    for digit in range(10):
        judged[np.flatnonzero(known & (digit == DIGITS))[4]] = True
    figures = entry["refinement"]
    before, after = (
        float(np.mean((rows[judged] @ one.T).argmax(axis=1) == DIGITS[judged])) for one in refined(known & ~judged)
    )
    assert figures == {
        "judged_items": 10, "accuracy_before": pytest.approx(before), "accuracy_after": pytest.approx(after),
    }  # fmt: skip
    api.delete(f"/v1/classifiers/{entry['classifier_id']}")


@pytest.mark.parametrize("method", ["pseudo_labels", "label_propagation"])
def test_rough_prototypes_are_better_once_unlabelled_items_have_moved_them(api, collection, method) -> None:
    path = collection(ENCODER)
    upsert(api, path, digit_items(lambda _: True))
    first = [LABELS.index(name) for name in NAMES]  # one example of each class is all that is known
    labels = [{"label": name, "vector": ROWS[n].tolist()} for name, n in zip(NAMES, first, strict=True)]
    body = {"collection": path.rpartition("/")[2], "method": method, "labels": labels}
    entry = wait(api, train(api, **body, item_weight=2.0))
    figures = entry["refinement"]
    before = np.mean((ROWS @ ROWS[first].T).argmax(axis=1) == DIGITS)
    after = np.mean(served_cosines(api, entry["classifier_id"], ROWS[:60]).argmax(axis=1) == DIGITS[:60])
    assert figures["judged_items"] == COUNT
    assert figures["accuracy_before"] == pytest.approx(before)
    assert figures["accuracy_after"] > before + 0.02
    assert after == pytest.approx(figures["accuracy_after"], abs=0.1)
    # Labels of the items judge, and teach nothing: without them the classes are the same.
    for n in range(0, COUNT, 50):
        items = [{**item, "label": None} for item in digit_items(lambda _: False)[n : n + 50]]
        api.post(f"{path}/items", json={"items": items})
    without = wait(api, train(api, **body, item_weight=2.0))
    assert without["refinement"] is None
    served = [served_cosines(api, one["classifier_id"], ROWS[:10]) for one in (entry, without)]
    np.testing.assert_allclose(served[0], served[1], atol=1e-9)


def test_keywords_move_to_the_documents_that_speak_of_them(api, collection) -> None:
    path = collection(ENCODER)
    texts = [f"{one} and {other}" for group in (COOKING, SPORT) for one in group for other in group if one != other]
    upsert(api, path, [{"id": text, "text": text} for text in texts])
    phrases = {"cooking": ["a recipe", "the kitchen"], "sport": ["a football match"]}
    labels = [{"label": label, "phrases": some} for label, some in phrases.items()]
    body = {"collection": path.rpartition("/")[2], "method": "keywords", "labels": labels, "templates": ["{}"]}
    entry = wait(api, train(api, **body, least_cosine=0.25, fewest=15, most=40))
    assert (entry["labels"], entry["num_samples"], entry["refinement"]) == (["cooking", "sport"], len(texts), None)

    def embedded(inputs):
        answers = [
            api.post("/v1/embeddings", json={"model": ENCODER, "input": inputs[start : start + 50]}).json()["data"]
            for start in range(0, len(inputs), 50)
        ]
        return np.array([one["embedding"] for answer in answers for one in answer])

    documents, expected = embedded(texts), []
    for some in phrases.values():
        prototype = unit(embedded(some).mean(axis=0))
        cosines = documents @ prototype
        order = np.argsort(-cosines)[: max(15, min(40, int((cosines >= 0.25).sum())))]
        assert 15 <= len(order) <= 40
        closest = documents[order]
        inside = LocalOutlierFactor(10).fit(closest).negative_outlier_factor_ >= -1.5
        expected.append(unit(closest[inside].mean(axis=0)))
    served = served_cosines(api, entry["classifier_id"], documents[:20])
    np.testing.assert_allclose(served, documents[:20] @ np.array(expected).T, atol=10 * FLOAT32_VALUES)
    answers = api.post(
        "/v1/classify", json={"classifier_id": entry["classifier_id"], "input": ["salt the soup", "the coach won"]}
    )
    assert [one["prediction"] for one in answers.json()["data"]] == ["cooking", "sport"]


def test_what_is_forgotten_is_in_no_classifier(data_folder) -> None:
    settings = Settings(data_dir=data_folder(), encoders=(ENCODER,))
    with serving(settings) as url, httpx.Client(base_url=url, timeout=60) as api:
        path, low = "/v1/collections/digits", {"$label": {"$in": NAMES[:3]}}
        api.put(path, json={"encoder": ENCODER})
        upsert(api, path, digit_items(lambda _: True))
        methods = ("nearest_mean", "knn", "ridge", "pseudo_labels")
        of_all = {method: train(api, collection="digits", method=method) for method in methods}
        of_some = [train(api, collection="digits", method=method, filter=low) for method in methods]
        of_others = train(api, model=ENCODER, input=[{"text": name, "label": name} for name in NAMES[:2]])
        assert {wait(api, one)["state"] for one in [*of_all.values(), *of_some]} == {"ready"}
        gone = next(n for n in range(COUNT) if LABELS[n] == NAMES[5])
        trace = ROWS[gone].tobytes()
        assert any(trace in file.read_bytes() for file in (settings.classifiers_dir / of_all["knn"]).iterdir())

        receipt = api.post(f"{path}/forget", json={"ids": [f"n{gone}"]}).json()
        assert sorted(receipt["stale_classifiers"]) == sorted(of_all.values())
        assert not any(trace in file.read_bytes() for file in settings.classifiers_dir.rglob("*.*"))
        for classifier_id in of_all.values():
            assert [file.name for file in (settings.classifiers_dir / classifier_id).iterdir()] == ["classifier.json"]
            refused = api.post("/v1/classify", json={"classifier_id": classifier_id, "input": "x"})
            assert (refused.status_code, error(refused)["code"]) == (409, "classifier_stale")
            assert "were forgotten; train it anew" in error(refused)["message"]
            more = [{"vector": ROWS[0].tolist(), "label": NAMES[0]}]
            added = api.post("/v1/train", json={"classifier_id": of_all["nearest_mean"], "input": more})
            assert (added.status_code, error(added)["code"]) == (409, "classifier_stale")
            entry = api.get(f"/v1/classifiers/{classifier_id}").json()
            assert (entry["state"], entry["labels"], entry["collection"]) == ("stale", [], "digits")
        for classifier_id in (*of_some, of_others):
            assert classify(api, classifier_id, ROWS[:1])
        # What was deleted before is forgotten by any forgetting.
        api.delete(f"{path}/items/n{LABELS.index(NAMES[1])}")
        assert classify(api, of_some[0], ROWS[:1])
        again = api.post(f"{path}/forget", json={"label": "none"}).json()
        assert sorted(again["stale_classifiers"]) == sorted(of_some)
    with serving(settings) as url, httpx.Client(base_url=url, timeout=60) as api:
        assert api.post("/v1/classify", json={"classifier_id": of_some[0], "input": "x"}).status_code == 409
        assert classify(api, of_others, ROWS[:1])


VECTOR = [1.0] + [0.0] * (DIMENSION - 1)
TWO = [{"label": "a", "phrases": ["x"]}, "b"]


@pytest.mark.parametrize(
    ("body", "status", "param", "words"),
    [
        ({"method": "keywords"}, 400, "labels", "give labels"),
        ({"method": "ridge", "labels": TWO}, 400, "labels", "ridge learns the labels of the items"),
        ({"method": "pseudo_labels", "templates": ["a {}"]}, 400, "labels", "templates are of labels"),
        ({"method": "keywords", "labels": ["a"]}, 400, "labels", "at least 2 labels, got 1"),
        ({"method": "keywords", "labels": ["a", "a"]}, 400, "labels[1]", "occurs twice"),
        ({"method": "keywords", "labels": TWO, "fewest": 9, "most": 8}, 400, "fewest", "more than most"),
        ({"method": "pseudo_labels", "labels": TWO, "share": 1.5}, 400, "share", "at most 1"),
        ({"method": "label_propagation", "labels": TWO, "spread": 1.0}, 400, "spread", "at most 0.99"),
        ({"method": "pseudo_labels", "labels": TWO, "item_weight": 1e30}, 400, "item_weight", "at most 1000000.0"),
        ({"method": "label_propagation", "labels": TWO, "k": 1001}, 400, "k", "at most 1000"),
        ({"method": "pseudo_labels", "labels": TWO, "rounds": 10**400}, 400, "rounds", "at most 100"),
        ({"method": "label_propagation", "rounds": 3}, 400, "rounds", "no option of label_propagation"),
        ({"method": "keywords", "labels": TWO, "filter": {"n": 1}}, 422, "collection", "no items that match"),
    ],
)
def test_refinements_that_are_refused(api, collection, body, status, param, words) -> None:
    path = collection(ENCODER)
    upsert(api, path, [{"id": "1", "vector": VECTOR, "label": "a"}])
    response = api.post("/v1/train", json={"collection": path.rpartition("/")[2], **body})
    assert (response.status_code, error(response)["param"]) == (status, param), response.text
    assert words in error(response)["message"]


def test_a_refinement_needs_a_collection(api) -> None:
    rows = [{"vector": VECTOR, "label": label} for label in "ab"]
    refused = api.post("/v1/train", json={"model": ENCODER, "input": rows, "method": "pseudo_labels"})
    assert (refused.status_code, error(refused)["param"]) == (400, "method")
    refused = api.post("/v1/train", json={"model": ENCODER, "input": rows, "labels": TWO})
    assert refused.status_code == 400
    assert "name the collection" in error(refused)["message"]


def test_without_two_labels_to_start_from_a_refinement_says_so(api, collection) -> None:
    path = collection(ENCODER)
    upsert(api, path, [{"id": str(n), "vector": VECTOR, "label": "a" if n else None} for n in range(3)])
    refused = api.post("/v1/train", json={"collection": path.rpartition("/")[2], "method": "pseudo_labels"})
    assert (refused.status_code, error(refused)["param"]) == (422, "collection")
    assert "have 1 labels; training needs at least 2" in error(refused)["message"]


def test_the_client_teaches_by_phrases_and_decides_by_rules(server_url, api, collection) -> None:
    path = collection(ENCODER)
    texts = [f"{one} and {other}" for group in (COOKING, SPORT) for one, other in pairwise(group)]
    upsert(api, path, [{"id": text, "text": text} for text in texts])
    classes = [KeywordClass("cooking", ["a recipe", "the kitchen"]), "sport"]
    with Simila(server_url) as client:
        trained = client.train_on(
            path.rpartition("/")[2], method="keywords", labels=classes, templates=["{}"], options={"fewest": 5}
        )
        wait(api, trained.classifier_id)
        found = client.classifier(trained.classifier_id)
        assert (found.state, found.labels, found.num_samples) == ("ready", ("cooking", "sport"), len(texts))
        tree = {"cooking": "leisure", "sport": "leisure", "leisure": None}
        rules = Rules(label_tree=tree, confidence=1.0, thresholds=0.5)
        (sure, decided), inputs = client.classify_trained(found.id, ["soup", "goal"], rules=rules), ["goal", "referee"]
        assert (sure.label, sure.labels, decided.labels) == ("leisure", ("cooking",), ("sport",))
        assert client.set_priors(found.id, inputs=inputs)["sport"] > 0.5
        assert client.set_priors(found.id, priors={"cooking": 999, "sport": 1})["cooking"] == pytest.approx(0.999)
        (moved_by_priors,) = client.classify_trained(found.id, ["a match in the kitchen"])
        assert moved_by_priors.label == "cooking"
        client.delete_priors(found.id)
        assert client.classifier(found.id).priors is None
        receipt = client.forget(found.collection, ids=[texts[0]])
        assert found.id in receipt.stale_classifiers
        with pytest.raises(Conflict):
            client.classify_trained(found.id, ["soup"])
