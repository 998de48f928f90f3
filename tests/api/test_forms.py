"""`POST /v1/embeddings` as multipart/form-data."""

import io

import httpx
import numpy as np
import pytest
from PIL import Image

from api.wire import b64, embed, error, vectors
from tolerances import FLOAT32_VALUES

pytestmark = pytest.mark.protocol("Forms with image files")

MODEL = ("model", (None, "simila-lite"))


def post(api: httpx.Client, *parts: tuple, headers: dict[str, str] | None = None) -> httpx.Response:
    return api.post("/v1/embeddings", files=list(parts), headers=headers)


def text(value: str) -> tuple:
    return ("input", (None, value))


def image(data: bytes) -> tuple:
    return ("image", ("photo", data, "application/octet-stream"))


def noise_of_over_a_megabyte() -> bytes:
    encoded = io.BytesIO()
    Image.effect_noise((1200, 1000), 100).save(encoded, "PNG")
    assert len(encoded.getvalue()) > 2**20
    return encoded.getvalue()


def test_files_and_texts_come_back_in_the_order_of_the_form(api: httpx.Client, photo) -> None:
    files = [photo("coffee.png"), photo("rocket.jpg")]
    response = post(api, text("a cup"), image(files[0]), MODEL, image(files[1]), text("a rocket"))
    assert response.status_code == 200, response.text
    inputs = ["a cup", {"image": b64(files[0])}, {"image": b64(files[1])}, "a rocket"]
    expected = embed(api, "simila-lite", inputs)
    assert response.json()["usage"] == expected["usage"]
    np.testing.assert_allclose(vectors(response.json()), vectors(expected), atol=FLOAT32_VALUES)


def test_a_large_file(api: httpx.Client) -> None:
    data = noise_of_over_a_megabyte()
    served = vectors(post(api, MODEL, image(data)).json())
    expected = vectors(embed(api, "simila-lite", {"image": b64(data)}))
    np.testing.assert_allclose(served, expected, atol=FLOAT32_VALUES)


def test_an_image_may_be_base64_too(api: httpx.Client, photo) -> None:
    uri = f"data:image/png;base64,{b64(photo('coffee.png'))}"
    rows = vectors(post(api, MODEL, ("image", (None, uri)), text(uri), image(photo("coffee.png"))).json())
    np.testing.assert_allclose(rows[:2], [rows[2], rows[2]], atol=FLOAT32_VALUES)


def test_options_mean_what_they_mean_in_json(api: httpx.Client) -> None:
    options = {"dimensions": "3", "encoding_format": "base64", "truncate": "true", "on_error": "partial", "user": "me"}
    parts = [(name, (None, value)) for name, value in options.items()]
    body = post(api, MODEL, *parts, text("one " * 300), image(b"no image")).json()
    whole = embed(api, "simila-lite", "one " * 300, dimensions=3, encoding_format="base64")
    assert body["data"][0]["truncated"] is True
    assert len(body["data"][0]["embedding"]) == len(whole["data"][0]["embedding"]) == 16
    assert (body["data"][1]["embedding"], body["data"][1]["error"]["param"]) == (None, "image[0]")


def test_a_form_is_answered_in_octets_too(api: httpx.Client) -> None:
    response = post(api, MODEL, text("one"), headers={"accept": "application/octet-stream"})
    expected = vectors(embed(api, "simila-lite", "one"))[0]
    np.testing.assert_allclose(np.frombuffer(response.content, "<f4"), expected, atol=FLOAT32_VALUES)


CASES = {
    "no model": ([text("a")], 400, "model", "is missing"),
    "no input": ([MODEL], 400, "input", "no field 'input' and no file 'image'"),
    "an unknown encoder": ([("model", (None, "nope")), text("a")], 404, "model", "unknown encoder"),
    "an unknown field": ([MODEL, text("a"), ("size", (None, "3"))], 400, "size", "no field of this request"),
    "an option twice": ([MODEL, MODEL, text("a")], 400, "model", "given twice"),
    "no number": ([MODEL, text("a"), ("dimensions", (None, "few"))], 400, "dimensions", "valid integer"),
    "a file as an option": ([("model", ("model.txt", b"simila-lite")), text("a")], 400, "model", "valid string"),
    "a file as a text": ([MODEL, ("input", ("a.txt", b"a"))], 400, "input[0]", "send files as 'image'"),
    "an empty text": ([MODEL, text("a"), text("")], 400, "input[1]", "must not be empty"),
    "too long a text": ([MODEL, text("a " * 60_000)], 413, "input[0]", "SIMILA_LIMITS__MAX_TEXT_CHARACTERS"),
    "no image": ([MODEL, text("a"), image(b"x"), image(b"x")], 400, "image[0]", "image[1]: not an image of an acc"),
    "too many inputs": ([MODEL, *[text("a")] * 65], 413, "input", "limit of 64 (SIMILA_LIMITS__MAX_INPUTS)"),
    "a great many parts": ([MODEL, *[text("a")] * 2000], 413, "input", "limit of 64 (SIMILA_LIMITS__MAX_INPUTS)"),
    "an unknown choice": ([MODEL, text("a"), ("on_error", (None, "never"))], 400, "on_error", "'fail' or 'partial'"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_forms(api: httpx.Client, case: str) -> None:
    parts, status, param, words = CASES[case]
    response = post(api, *parts)
    detail = error(response)
    assert (response.status_code, detail["param"], detail["type"]) == (status, param, "invalid_request_error")
    assert words in detail["message"]


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=x"])
def test_a_form_that_is_none(api: httpx.Client, content_type: str) -> None:
    response = api.post("/v1/embeddings", content=b"--y\r\nnonsense", headers={"content-type": content_type})
    assert response.status_code == 400
    assert error(response)["type"] == "invalid_request_error"


def test_too_large_a_form(api: httpx.Client) -> None:
    response = post(api, MODEL, image(b"x" * 2_000_000))
    assert response.status_code == 413
    assert "SIMILA_LIMITS__MAX_BODY_BYTES" in error(response)["message"]
