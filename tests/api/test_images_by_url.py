"""Images by URL, on a server that fetches them from one host on this machine."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from api.conftest import serving
from api.wire import b64, embed, error, upsert, vectors
from image_host import ImageHost, image_host
from simila.settings import FetchSettings, LimitSettings, Settings
from tolerances import FLOAT32_VALUES

LITE = "simila-lite"


@pytest.fixture(scope="module")
def host(photo: Callable[[str], bytes]) -> Iterator[ImageHost]:
    with image_host("127.0.0.2") as server:
        server.photo = photo("rocket.jpg")
        yield server


@pytest.fixture(scope="module")
def fetching(data_folder: Callable[[], Path], host: ImageHost) -> Iterator[httpx.Client]:
    fetch = FetchSettings(enabled=True, allowed_networks=("127.0.0.2/32",), ports=(host.port,), max_images=3)
    limits = LimitSettings(max_body_bytes=int(2.5 * len(host.photo)), max_image_bytes=2 * len(host.photo))
    settings = Settings(data_dir=data_folder(), encoders=(LITE,), fetch=fetch, limits=limits)
    with serving(settings) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def url(host: ImageHost) -> str:
    return f"http://127.0.0.2:{host.port}/photo/"


@pytest.fixture(scope="module")
def expected(fetching: httpx.Client, host: ImageHost) -> np.ndarray:
    return vectors(embed(fetching, LITE, {"image": b64(host.photo)}))[0]


def test_an_image_by_url_has_the_vector_of_its_bytes(fetching: httpx.Client, url: str, expected: np.ndarray) -> None:
    served = vectors(embed(fetching, LITE, ["a text", {"image": url}]))
    np.testing.assert_allclose(served[1], expected, atol=FLOAT32_VALUES)
    by_modality = vectors(embed(fetching, LITE, url, modality="image"))
    np.testing.assert_allclose(by_modality[0], expected, atol=FLOAT32_VALUES)


def test_a_text_that_is_a_url_stays_a_text(fetching: httpx.Client, host: ImageHost, url: str) -> None:
    host.asked.clear()
    embed(fetching, LITE, [url, {"text": url}])
    assert host.asked == []


def test_an_image_that_is_named_twice_is_fetched_once(fetching: httpx.Client, host: ImageHost, url: str) -> None:
    host.asked.clear()
    embed(fetching, LITE, [{"image": url}] * 5)
    assert [path for _, path in host.asked] == ["/photo/"]


def test_images_that_cannot_be_had_fail_one_by_one(fetching: httpx.Client, host: ImageHost, url: str) -> None:
    missing, inner = f"http://127.0.0.2:{host.port}/missing/", f"http://127.0.0.1:{host.port}/photo/"
    inputs = [{"image": missing}, {"image": url}, {"image": inner}]
    body = embed(fetching, LITE, inputs, on_error="partial")
    assert [entry["embedding"] is None for entry in body["data"]] == [True, False, True]
    errors = [body["data"][position]["error"] for position in (0, 2)]
    assert [entry["code"] for entry in errors] == ["image_unavailable", "url_refused"]
    assert [entry["param"] for entry in errors] == ["input[0].image", "input[2].image"]
    assert "input[0].image: the image's host answered 404" in errors[0]["message"]

    refused = fetching.post("/v1/embeddings", json={"model": LITE, "input": inputs})
    assert (refused.status_code, error(refused)["code"]) == (422, "image_unavailable")


def test_too_many_images_are_not_fetched(fetching: httpx.Client, host: ImageHost, url: str) -> None:
    host.asked.clear()
    inputs = [{"image": f"{url}{number}"} for number in range(4)]
    refused = fetching.post("/v1/embeddings", json={"model": LITE, "input": inputs})
    assert (refused.status_code, host.asked) == (413, [])
    assert "4 images by URL are more than the limit of 3 (SIMILA_FETCH__MAX_IMAGES)" in error(refused)["message"]


def test_images_by_url_are_together_no_larger_than_a_body(fetching: httpx.Client, url: str) -> None:
    body = embed(fetching, LITE, [{"image": f"{url}{number}"} for number in range(3)], on_error="partial")
    failed = [entry["error"] for entry in body["data"] if entry["embedding"] is None]
    assert [entry["code"] for entry in failed] == ["limit_exceeded"]
    assert "SIMILA_LIMITS__MAX_BODY_BYTES" in failed[0]["message"]


def test_every_route_that_reads_images_reads_them_by_url(
    fetching: httpx.Client, host: ImageHost, url: str, expected: np.ndarray
) -> None:
    path = "/v1/collections/by-url"
    assert fetching.put(path, json={"encoder": LITE, "store_inputs": True}).is_success
    host.asked.clear()
    upsert(fetching, path, {"id": "a", "image": url, "label": "rocket", "payload": {"image": f"{url}not-read"}})
    assert [asked for _, asked in host.asked] == ["/photo/"], "a payload is the caller's own"
    stored = fetching.get(f"{path}/items/a?vector=true").json()["vector"]
    np.testing.assert_allclose(stored, expected, atol=FLOAT32_VALUES)

    for query in (f"{path}/search", f"{path}/search?unused=1"):
        found = fetching.post(query, json={"image": url}).json()["results"][0]
        assert (found["id"], found["score"]) == ("a", pytest.approx(1, abs=FLOAT32_VALUES))
    classified = fetching.post(
        "/v1/classify", json={"model": LITE, "input": {"image": url}, "labels": ["rocket", "cat"]}
    )
    assert classified.json()["data"][0]["prediction"] == "rocket"
    examples = [{"image": url, "label": "rocket"}, {"text": "a cat", "label": "cat"}]
    assert fetching.post("/v1/train", json={"model": LITE, "input": examples}).is_success
    ranked = fetching.post("/v1/rerank", json={"model": LITE, "query": "rocket", "documents": [{"image": url}]})
    assert ranked.json()["results"][0]["index"] == 0


def test_where_no_url_is_taken_it_is_said(fetching: httpx.Client, url: str) -> None:
    refused = fetching.post("/v1/embeddings", files={"model": (None, LITE), "image": (None, url)})
    assert (refused.status_code, error(refused)["param"]) == (400, "image[0]")
    assert "no URL is taken here" in error(refused)["message"]
