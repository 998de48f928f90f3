"""`on_error: "partial"`: an input that fails does not take the others with it."""

from typing import Any

import httpx
import numpy as np
import pytest

from api.wire import b64, embed, error, vectors
from simila.api.schemas.own_errors import MOST_JUDGED_ALONE
from tolerances import FLOAT32_VALUES

BROKEN = {"image": b64(b"hello")}
NO_BASE64 = {"image": "a*b"}
MALFORMED = ("", None, 5, {"text": ""}, {"text": 5}, {"image": ""}, {"image": None}, {"word": "a"}, [], ["a"], [1.5])


def test_each_failed_input_has_an_error_of_its_own(api: httpx.Client) -> None:
    inputs = ["one", BROKEN, "two " * 300, NO_BASE64, [99999], "three"]
    body = embed(api, "simila-lite", inputs, on_error="partial", truncate=False)
    assert [entry["index"] for entry in body["data"]] == [0, 1, 2, 3, 4, 5]
    assert [entry["embedding"] is None for entry in body["data"]] == [False, True, True, True, True, False]
    expected = vectors(embed(api, "simila-lite", ["one", "three"]))
    served = [body["data"][0]["embedding"], body["data"][5]["embedding"]]
    np.testing.assert_allclose(served, expected, atol=FLOAT32_VALUES)
    errors = [entry.get("error") for entry in body["data"]]
    assert (errors[0], errors[5]) == (None, None)
    assert [entry["param"] for entry in errors[1:5]] == ["input[1]", "input[2]", "input[3].image", "input[4]"]
    codes = ["invalid_image", "context_length_exceeded", "invalid_image", "invalid_input"]
    assert [entry["code"] for entry in errors[1:5]] == codes
    assert {entry["type"] for entry in errors[1:5]} == {"invalid_request_error"}
    assert errors[1]["message"].startswith("input[1]: not an image of an accepted format")
    assert errors[3]["message"].startswith("input[3].image: malformed base64")
    assert body["usage"]["total_tokens"] == 6


@pytest.mark.parametrize("bad", MALFORMED, ids=repr)
def test_an_input_that_is_malformed_fails_alone_and_in_the_same_words(api: httpx.Client, bad: Any) -> None:
    inputs = ["one", bad]
    alone = error(api.post("/v1/embeddings", json={"model": "simila-lite", "input": inputs}))
    entries = embed(api, "simila-lite", inputs, on_error="partial")["data"]
    assert (entries[1]["embedding"], entries[1]["error"]) == (None, alone)
    assert (alone["code"], alone["param"][:8]) == ("invalid_request", "input[1]")
    expected = vectors(embed(api, "simila-lite", ["one"]))
    np.testing.assert_allclose([entries[0]["embedding"]], expected, atol=FLOAT32_VALUES)


def test_malformed_items_beyond_those_judged_alone_refuse_the_request(api: httpx.Client) -> None:
    inputs = ["one"] * MOST_JUDGED_ALONE + [""]
    response = api.post("/v1/embeddings", json={"model": "simila-lite", "input": inputs, "on_error": "partial"})
    assert (response.status_code, error(response)["param"]) == (400, f"input[{MOST_JUDGED_ALONE}]")


@pytest.mark.parametrize("encoding_format", ["float", "base64"])
def test_without_failures_nothing_differs(api: httpx.Client, encoding_format: str) -> None:
    inputs = ["one"]
    partial = embed(api, "simila-lite", inputs, on_error="partial", encoding_format=encoding_format)
    assert partial == embed(api, "simila-lite", inputs, encoding_format=encoding_format)


def test_fewer_dimensions_keep_the_errors(api: httpx.Client) -> None:
    body = embed(api, "simila-lite", ["one", BROKEN], on_error="partial", dimensions=3)
    assert [entry["embedding"] is None for entry in body["data"]] == [False, True]
    assert np.linalg.norm(body["data"][0]["embedding"]) == pytest.approx(1, abs=FLOAT32_VALUES)


@pytest.mark.parametrize(("inputs", "param"), [([BROKEN, BROKEN], "input[0]"), ([NO_BASE64, BROKEN], "input[0].image")])
def test_when_nothing_succeeds_the_request_fails(api: httpx.Client, inputs: list, param: str) -> None:
    body = {"model": "simila-lite", "input": inputs}
    partial = api.post("/v1/embeddings", json={**body, "on_error": "partial"})
    assert (partial.status_code, error(partial)["param"]) == (400, param)
    assert error(partial)["message"].count("input[") == 2


def test_by_default_one_failure_fails_the_request(api: httpx.Client) -> None:
    for options in ({}, {"on_error": "fail"}):
        response = api.post("/v1/embeddings", json={"model": "simila-lite", "input": ["one", NO_BASE64], **options})
        assert (response.status_code, error(response)["param"]) == (400, "input[1].image")


def test_what_is_wrong_with_the_whole_request_is_no_partial_success(api: httpx.Client) -> None:
    body = {"model": "simila-lite", "input": ["one", BROKEN], "on_error": "partial", "dimensions": 10_000}
    assert error(api.post("/v1/embeddings", json=body))["param"] == "dimensions"
    response = api.post("/v1/embeddings", json={**body, "on_error": "perhaps"})
    assert (response.status_code, error(response)["param"]) == (400, "on_error")
