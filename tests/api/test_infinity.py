"""Infinity's `POST /embeddings` on real encoders."""

import httpx
import numpy as np
import pytest

from api.wire import b64, embed, error, vectors

pytestmark = pytest.mark.protocol("Infinity")


def ask(api: httpx.Client, inputs: object, **body: object) -> httpx.Response:
    return api.post("/embeddings", json={"model": "simila-lite", "input": inputs, **body})


def test_the_answer_is_that_of_the_openai_route(api: httpx.Client) -> None:
    assert ask(api, ["one", "two"]).json() == embed(api, "simila-lite", ["one", "two"])


def test_modality_image_reads_strings_as_images(api: httpx.Client, photo) -> None:
    encoded = b64(photo("coffee.png"))
    answer = ask(api, [encoded, f"data:image/png;base64,{encoded}"], modality="image").json()
    expected = vectors(embed(api, "simila-lite", {"image": encoded}))
    assert np.array_equal(vectors(answer), np.tile(expected, (2, 1)))
    same = embed(api, "simila-lite", encoded, modality="image")
    assert np.array_equal(vectors(same), expected)


@pytest.mark.parametrize("body", [{}, {"modality": "text"}])
def test_strings_are_texts_unless_they_are_said_to_be_images(api: httpx.Client, body: dict) -> None:
    answer = ask(api, "data:image/png;base64,AAAA", **body).json()
    assert np.array_equal(vectors(answer), vectors(embed(api, "simila-lite", {"text": "data:image/png;base64,AAAA"})))


@pytest.mark.parametrize("body", [{"model": "default/not-specified"}, {"dimensions": 0}])
def test_what_its_client_leaves_unsaid_is_the_default(api: httpx.Client, body: dict) -> None:
    answer = api.post("/embeddings", json={"input": "one", **body}).json()
    assert answer == embed(api, "all-minilm-l6-v2", "one")


def test_sound_is_refused(api: httpx.Client) -> None:
    response = ask(api, "AAAA", modality="audio")
    assert (response.status_code, error(response)["param"]) == (400, "modality")


def test_vectors_that_are_not_normalised_are_refused(api: httpx.Client) -> None:
    assert ask(api, "one", normalized=True).status_code == httpx.codes.OK
    response = ask(api, "one", normalized=False)
    assert (response.status_code, error(response)["param"]) == (400, "normalized")
