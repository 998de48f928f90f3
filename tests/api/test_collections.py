import json

import httpx
import numpy as np
import pytest
from scipy.special import softmax
from sklearn.neighbors import NearestCentroid

from api.wire import DIMENSION, axis, b64, embed, error, search, upsert, vectors
from tolerances import FLOAT32_VALUES


def test_a_collection_is_created_found_listed_and_deleted(api: httpx.Client) -> None:
    created = api.put("/v1/collections/clothes", json={"encoder": "simila-lite"})
    again = api.put("/v1/collections/clothes", json={"encoder": "simila-lite"})
    assert (created.status_code, again.status_code) == (201, 200)
    assert created.json() == again.json() == api.get("/v1/collections/clothes").json()
    model = api.get("/v1/models/simila-lite").json()
    assert created.json()["fingerprint"] == model["fingerprint"]
    assert (created.json()["dimension"], created.json()["items"], created.json()["labels"]) == (384, 0, {})
    assert created.json() in api.get("/v1/collections").json()["data"]
    assert api.delete("/v1/collections/clothes").status_code == 204
    assert error(api.get("/v1/collections/clothes"))["code"] == "collection_not_found"


def test_a_collection_keeps_its_encoder(api: httpx.Client, collection) -> None:
    path = collection("simila-lite")
    response = api.put(path, json={"encoder": "efficientnet-lite0"})
    assert response.status_code == 409
    assert error(response)["code"] == "fingerprint_mismatch"


def test_an_upsert_replaces(api: httpx.Client, collection) -> None:
    path = collection("efficientnet-lite0")
    first = upsert(api, path, {"id": "x", "vector": axis(0), "label": "old", "payload": {"n": 1}})
    second = upsert(api, path, {"id": "x", "vector": axis(1), "label": "new"})
    assert second["sequence"] > first["sequence"]
    stored = api.get(f"{path}/items/x", params={"vector": True}).json()
    assert (stored["label"], stored["payload"], stored["vector"]) == ("new", None, axis(1))
    assert search(api, path, vector=axis(0), score_threshold=0.5) == []
    assert api.get(path).json()["labels"] == {"new": 1}


def test_an_item_is_deleted_from_index_and_means(api: httpx.Client, collection) -> None:
    path = collection("efficientnet-lite0")
    upsert(api, path, *({"id": n, "vector": axis(int(n)), "label": n} for n in "012"))
    assert api.delete(f"{path}/items/1").status_code == 204
    assert api.delete(f"{path}/items/1").status_code == 404
    assert error(api.get(f"{path}/items/1"))["code"] == "item_not_found"
    assert {hit["id"] for hit in search(api, path, vector=axis(1))} == {"0", "2"}
    body = api.post(f"{path}/classify", json={"input": {"vector": axis(1)}}).json()
    assert {prediction["label"] for prediction in body["data"][0]["predictions"]} == {"0", "2"}


def test_ids_may_hold_slashes_spaces_and_any_unicode(api: httpx.Client, collection) -> None:
    path = collection("efficientnet-lite0")
    for item_id in ["dress/1.jpg", "a b?c#d%e", "κλειδί/🙂", "...", "a..b/.c", "/leading", "items/x/search"]:
        upsert(api, path, {"id": item_id, "vector": axis(0)})
        url = f"{path}/items/" + "".join(f"%{byte:02x}" for byte in item_id.encode())
        assert api.get(url).json()["id"] == item_id
        assert api.delete(url).status_code == 204


@pytest.mark.parametrize("item_id", ["..", ".", "../../other", "a/../b", "./a"])
def test_an_id_that_climbs_out_of_its_path_is_refused(api: httpx.Client, collection, item_id: str) -> None:
    path = collection("efficientnet-lite0")
    answer = api.post(f"{path}/items", json={"items": [{"id": item_id, "vector": axis(0)}]})
    assert (answer.status_code, error(answer)["param"]) == (400, "items[0].id")


def test_pages_cover_every_item_once(api: httpx.Client, collection) -> None:
    path = collection("efficientnet-lite0")
    upsert(api, path, *({"id": str(n), "vector": axis(n)} for n in range(7)))
    seen, after = [], 0
    while after is not None:
        page = api.get(f"{path}/items", params={"after": after, "limit": 3}).json()
        seen += [entry["id"] for entry in page["data"]]
        after = page["next"]
    assert seen == [str(n) for n in range(7)]


def test_nearest_mean_agrees_with_scikit_learn(api: httpx.Client, collection) -> None:
    path = collection("efficientnet-lite0")
    random = np.random.default_rng(3)
    centres = random.normal(size=(3, DIMENSION))
    labels = random.integers(0, 3, size=40)
    rows = centres[labels] + 3 * random.normal(size=(40, DIMENSION))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    upsert(api, path, *({"id": str(n), "vector": rows[n].tolist(), "label": str(labels[n])} for n in range(20)))
    body = api.post(f"{path}/classify", json={"input": [{"vector": row.tolist()} for row in rows[20:]]}).json()
    model = NearestCentroid().fit(rows[:20], labels[:20].astype(str))
    assert [entry["prediction"] for entry in body["data"]] == model.predict(rows[20:]).tolist()
    means = np.array([rows[:20][labels[:20] == n].mean(axis=0) for n in range(3)], dtype=np.float64)
    expected = softmax(40 * (rows[20] @ means.T - (means**2).sum(axis=1) / 2))
    served = {prediction["label"]: prediction["score"] for prediction in body["data"][0]["predictions"]}
    assert served == pytest.approx({str(n): expected[n] for n in range(3)}, abs=FLOAT32_VALUES)


def test_two_photographs_teach_two_classes(api: httpx.Client, collection, photo) -> None:
    path = collection("efficientnet-lite0")
    for name, label in (("coffee.png", "drink"), ("chelsea.png", "pet")):
        upsert(api, path, {"id": name, "image": b64(photo(name)), "label": label})
    body = api.post(f"{path}/classify", json={"input": [{"image": b64(photo("chelsea.png"))}], "top_k": 1}).json()
    assert body["data"][0]["prediction"] == "pet"
    assert len(body["data"][0]["predictions"]) == 1
    assert body["usage"] == {"total_tokens": 0}


def test_classification_follows_every_write(api: httpx.Client, collection) -> None:
    path = collection("efficientnet-lite0")
    upsert(api, path, {"id": "1", "vector": axis(0), "label": "a"}, {"id": "2", "vector": axis(1), "label": "b"})

    def predicted() -> str:
        return api.post(f"{path}/classify", json={"input": {"vector": axis(0)}}).json()["data"][0]["prediction"]

    assert predicted() == "a"
    upsert(api, path, {"id": "1", "vector": axis(0), "label": "c"})
    assert predicted() == "c"


@pytest.mark.parametrize(
    ("item", "param", "words"),
    [
        ({"id": "x"}, "items[1]", "exactly one of text, image, vector; got none"),
        ({"id": "x", "vector": axis(0), "text": "a"}, "items[1]", "got text, vector"),
        ({"id": "", "vector": axis(0)}, "items[1].id", "must not be empty"),
        ({"id": "  ", "vector": axis(0)}, "items[1].id", "not blank"),
        ({"id": "x" * 513, "vector": axis(0)}, "items[1].id", "1 to 512 characters"),
        ({"id": "\ud800", "vector": axis(0)}, "items[1].id", "surrogates"),
        ({"id": "ok", "vector": axis(0)}, "items[1].id", "the id 'ok' is that of items[0] too"),
        ({"id": "x", "vector": [1.0]}, "items[1]", "has 1 dimensions; the encoder's vectors have 1280"),
        ({"id": "x", "vector": [float("nan"), *axis(0)[1:]]}, "items[1]", "position 0 is not a finite float32"),
        ({"id": "x", "vector": [*axis(0)[1:], 1e39]}, "items[1]", "position 1279 is not a finite float32"),
        ({"id": "x", "vector": [0.0] * DIMENSION}, "items[1]", "no direction"),
        ({"id": "x", "vector": ["a"]}, "items[1].vector[0]", "should be a valid number"),
        ({"id": "x", "vector": axis(0), "label": "   "}, "items[1].label", "it is blank"),
        ({"id": "x", "vector": axis(0), "payload": [1]}, "items[1].payload", "valid dictionary"),
        ({"id": "x", "vector": axis(0), "payload": {"a": float("nan")}}, "items[1].payload", "not JSON"),
        ({"id": "x", "vector": axis(0), "payload": {"a": "\ud800"}}, "items[1].payload", "not JSON"),
        ({"id": "x", "image": "!"}, "items[1].image", "malformed base64"),
        ({"id": "x", "image": b64(b"hello")}, "items[1]", "not an image"),
        ({"id": "x", "vector": axis(0), "colour": "red"}, "items[1].colour", "no field of this request"),
    ],
)
def test_a_bad_item_is_named_and_nothing_is_written(
    api: httpx.Client, collection, item: dict, param: str, words: str
) -> None:
    path = collection("efficientnet-lite0")
    body = json.dumps({"items": [{"id": "ok", "vector": axis(0)}, item]})
    response = api.post(f"{path}/items", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert error(response)["param"] == param
    assert words in error(response)["message"]
    assert api.get(path).json()["items"] == 0


def test_a_text_cannot_go_to_an_image_encoder(api: httpx.Client, collection) -> None:
    path = collection("efficientnet-lite0")
    response = api.post(f"{path}/items", json={"items": [{"id": "x", "text": "a dress"}]})
    assert (response.status_code, error(response)["code"]) == (422, "unsupported_modality")
    assert error(response)["message"] == "items[0]: encoder efficientnet-lite0 embeds images, not texts"


def test_too_large_a_payload_names_the_limit(api: httpx.Client, collection) -> None:
    path = collection("efficientnet-lite0")
    item = {"id": "x", "vector": axis(0), "payload": {"text": "a" * 70_000}}
    response = api.post(f"{path}/items", json={"items": [item]})
    assert (response.status_code, error(response)["param"]) == (413, "items[0].payload")
    assert "limit of 65536 (SIMILA_LIMITS__MAX_PAYLOAD_BYTES)" in error(response)["message"]


def test_too_many_items_name_the_limit(api: httpx.Client, collection) -> None:
    path = collection("efficientnet-lite0")
    response = api.post(f"{path}/items", json={"items": [{"id": str(n), "vector": [1]} for n in range(65)]})
    assert response.status_code == 413
    assert "65 items are more than the limit of 64 (SIMILA_LIMITS__MAX_ITEMS)" in error(response)["message"]


def test_a_collection_without_labels_cannot_classify(api: httpx.Client, collection) -> None:
    path = collection("efficientnet-lite0")
    upsert(api, path, {"id": "x", "vector": axis(0)})
    response = api.post(f"{path}/classify", json={"input": {"vector": axis(0)}})
    assert (response.status_code, error(response)["code"]) == (422, "no_labelled_items")


@pytest.mark.parametrize("route", ["", "/items", "/items/x"])
def test_an_unknown_collection_is_404(api: httpx.Client, route: str) -> None:
    response = api.get(f"/v1/collections/nope{route}")
    assert (response.status_code, error(response)["message"]) == (404, "there is no collection 'nope'")


@pytest.mark.parametrize("name", ["a b", "-a", "a" * 65, "a.b", "ä"])
def test_a_bad_collection_name_is_refused(api: httpx.Client, name: str) -> None:
    response = api.put(f"/v1/collections/{name}", json={"encoder": "simila-lite"})
    assert response.status_code == 400
    assert "1 to 64 characters" in error(response)["message"]


def test_an_empty_collection_answers_with_nothing(api: httpx.Client, collection) -> None:
    path = collection("simila-lite")
    assert search(api, path, text="anything") == []
    assert api.get(f"{path}/items").json() == {"object": "list", "data": [], "next": None}


def test_vectors_survive_as_float32(api: httpx.Client, collection) -> None:
    path = collection("simila-lite")
    vector = vectors(embed(api, "simila-lite", "a cat"))[0]
    upsert(api, path, {"id": "x", "text": "a cat"})
    stored = api.get(f"{path}/items/x", params={"vector": "true"}).json()["vector"]
    assert np.array_equal(np.array(stored, dtype=np.float32), vector)


def test_a_deep_payload_is_refused_before_it_could_not_be_read_again(api: httpx.Client, collection) -> None:
    path = collection("efficientnet-lite0")
    payload: dict = {}
    for _ in range(100):
        payload = {"a": payload}
    response = api.post(f"{path}/items", json={"items": [{"id": "x", "vector": axis(0), "payload": payload}]})
    assert (response.status_code, error(response)["param"]) == (400, "items[0].payload")
    assert "nested more than 64 deep" in error(response)["message"]
