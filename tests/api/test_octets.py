"""Vectors as little-endian float32, for clients that ask for octets."""

import httpx
import numpy as np
import pytest

from api.wire import embed, error, vectors
from tolerances import FLOAT32_VALUES

pytestmark = pytest.mark.protocol("Octets as answers")

OCTETS = "application/octet-stream"
TEXTS = ["one", "two", "three"]


def ask(api: httpx.Client, accept: str, **options: object) -> httpx.Response:
    body = {"model": "all-minilm-l6-v2", "input": TEXTS, **options}
    return api.post("/v1/embeddings", json=body, headers={"accept": accept})


def test_rows_are_the_vectors_of_the_json_answer(api: httpx.Client) -> None:
    response = ask(api, OCTETS)
    assert (response.status_code, response.headers["content-type"]) == (200, OCTETS)
    assert response.headers["x-embedding-count"] == "3"
    assert response.headers["x-embedding-dimensions"] == "384"
    rows = np.frombuffer(response.content, dtype="<f4").reshape(3, 384)
    expected = vectors(embed(api, "all-minilm-l6-v2", TEXTS))
    np.testing.assert_allclose(rows, expected, atol=FLOAT32_VALUES)


def test_fewer_dimensions_make_shorter_rows(api: httpx.Client) -> None:
    response = ask(api, OCTETS, dimensions=5, encoding_format="base64")
    assert (response.headers["x-embedding-dimensions"], len(response.content)) == ("5", 3 * 5 * 4)
    assert np.linalg.norm(np.frombuffer(response.content, dtype="<f4")[:5]) == pytest.approx(1, abs=FLOAT32_VALUES)


@pytest.mark.parametrize("accept", ["*/*", "", f"{OCTETS};q=0.5, application/json", f"{OCTETS}, application/json"])
def test_json_stays_the_default(api: httpx.Client, accept: str) -> None:
    response = ask(api, accept)
    assert response.headers["content-type"] == "application/json"
    assert len(response.json()["data"]) == 3


def test_octets_have_no_place_for_the_error_of_an_input(api: httpx.Client) -> None:
    response = ask(api, OCTETS, on_error="partial")
    assert (response.status_code, error(response)["param"]) == (400, "on_error")
    assert "ask for application/json" in error(response)["message"]


def test_an_error_is_json_all_the_same(api: httpx.Client) -> None:
    response = ask(api, OCTETS, model="nope")
    assert (response.status_code, error(response)["code"]) == (404, "model_not_found")
