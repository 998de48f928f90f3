"""A collection changes its encoder while it serves."""

import time

import httpx
import numpy as np
import pytest

from api.wire import b64, embed, error, vectors

PATIENCE_SECONDS = 60
WORDS = ["a cat", "a dog", "a car", "a bus", "the sea", "a hill"]


def migrated(api, path, encoder):
    started = api.post(f"{path}/migrate", json={"encoder": encoder})
    assert started.status_code == httpx.codes.ACCEPTED, started.text
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (progress := api.get(f"{path}/migrate").json())["state"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return progress


@pytest.fixture
def kept(api):
    """A collection of `simila-lite` that keeps its sources, with `WORDS` in it."""
    path = "/v1/collections/kept"
    assert api.put(path, json={"encoder": "simila-lite", "store_inputs": True}).status_code == httpx.codes.CREATED
    items = [{"id": word, "text": word, "label": word[-3:], "payload": {"n": n}} for n, word in enumerate(WORDS)]
    assert api.post(f"{path}/items", json={"items": items}).status_code == httpx.codes.OK
    yield path
    api.delete(path)


def test_items_are_embedded_again(api, kept):
    progress = migrated(api, kept, "all-minilm-l6-v2")
    assert (progress["state"], progress["items_done"], progress["items_total"]) == ("done", 6, 6)
    assert api.get(kept).json()["encoder"] == "all-minilm-l6-v2"
    expected = vectors(embed(api, "all-minilm-l6-v2", WORDS))
    for word, vector in zip(WORDS, expected, strict=True):
        item = api.get(f"{kept}/items/{word}", params={"vector": True}).json()
        np.testing.assert_allclose(item["vector"], vector, atol=1e-5)
        assert (item["label"], item["payload"]) == (word[-3:], {"n": WORDS.index(word)})
    hits = api.post(f"{kept}/search", json={"text": "kitten", "limit": 1}).json()["results"]
    assert [hit["id"] for hit in hits] == ["a cat"]


def test_an_image_has_no_place_among_texts(api, kept, photo):
    item = {"id": "photo", "image": b64(photo("coffee.png"))}
    assert api.post(f"{kept}/items", json={"items": [item]}).status_code == httpx.codes.OK
    progress = migrated(api, kept, "all-minilm-l6-v2")
    assert progress["state"] == "failed"
    assert "item 'photo'" in progress["error"]
    assert api.get(kept).json()["encoder"] == "simila-lite"


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"encoder": "gone"}, 404, "encoder"),
        ({"encoder": "simila-lite"}, 409, "encoder"),
        ({}, 400, "encoder"),
        ({"encoder": "all-minilm-l6-v2", "speed": 1}, 400, "speed"),
    ],
)
def test_what_cannot_be_is_refused(api, kept, body, status, param):
    answer = api.post(f"{kept}/migrate", json=body)
    assert (answer.status_code, error(answer)["param"]) == (status, param)


def test_a_collection_without_sources_is_refused(api, collection):
    answer = api.post(f"{collection('simila-lite')}/migrate", json={"encoder": "all-minilm-l6-v2"})
    assert answer.status_code == 422
    assert "store_inputs: true" in error(answer)["message"]


def test_before_the_first_there_is_none(api, collection):
    assert api.get(f"{collection('simila-lite')}/migrate").json() is None
    assert api.get("/v1/collections/gone/migrate").status_code == 404
