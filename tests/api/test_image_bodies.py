"""`POST /v1/embeddings` with an image file as the body."""

import httpx
import numpy as np
import pytest

from api.wire import b64, embed, error, vectors
from tolerances import FLOAT32_VALUES

pytestmark = pytest.mark.protocol("Image files as bodies")


def send(api: httpx.Client, content: bytes, **query: object) -> httpx.Response:
    params = {"model": "efficientnet-lite0", **query}
    return api.post("/v1/embeddings", params=params, content=content, headers={"content-type": "image/png"})


def test_the_vector_is_that_of_the_image_in_base64(api: httpx.Client, photo) -> None:
    response = send(api, photo("coffee.png"), dimensions=100)
    assert response.status_code == httpx.codes.OK, response.text
    expected = embed(api, "efficientnet-lite0", {"image": b64(photo("coffee.png"))}, dimensions=100)
    np.testing.assert_allclose(vectors(response.json()), vectors(expected), atol=FLOAT32_VALUES)


@pytest.mark.parametrize(
    ("content", "query", "param"),
    [
        (b"no image", {}, "image"),
        (b"GIF89a", {"colour": "red"}, "colour"),
        (b"GIF89a", {"dimensions": "many"}, "dimensions"),
    ],
)
def test_what_is_at_fault_is_named(api: httpx.Client, content: bytes, query: dict[str, str], param: str) -> None:
    response = send(api, content, **query)
    assert (response.status_code, error(response)["param"]) == (400, param)
