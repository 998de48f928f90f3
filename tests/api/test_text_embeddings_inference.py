"""Text Embeddings Inference's routes on real encoders."""

import httpx
import numpy as np
import pytest
from tokenizers import Tokenizer

from api.wire import b64, embed, vectors
from simila import __version__
from tolerances import FLOAT32_VALUES

pytestmark = pytest.mark.protocol("Text Embeddings Inference")


def rows(response: httpx.Response) -> np.ndarray:
    assert response.status_code == httpx.codes.OK, response.text
    return np.array(response.json(), dtype=np.float32)


def test_embed_answers_with_bare_rows_of_the_default_encoder(api: httpx.Client) -> None:
    expected = vectors(embed(api, "all-minilm-l6-v2", ["one", "two"]))
    np.testing.assert_allclose(rows(api.post("/embed", json={"inputs": ["one", "two"]})), expected, atol=FLOAT32_VALUES)
    np.testing.assert_allclose(rows(api.post("/embed", json={"inputs": "one"})), expected[:1], atol=FLOAT32_VALUES)


def test_a_path_chooses_another_encoder(api: httpx.Client, photo) -> None:
    image = f"data:image/png;base64,{b64(photo('coffee.png'))}"
    served = rows(api.post("/tei/simila-lite/embed", json={"inputs": [image, "coffee"], "dimensions": 100}))
    np.testing.assert_allclose(
        served, vectors(embed(api, "simila-lite", [image, "coffee"], dimensions=100)), atol=FLOAT32_VALUES
    )


def test_a_query_chooses_another_encoder(api: httpx.Client) -> None:
    served = rows(api.post("/embed?model=simila-lite", json={"inputs": "coffee"}))
    np.testing.assert_allclose(served, vectors(embed(api, "simila-lite", "coffee")), atol=FLOAT32_VALUES)


def test_headers_say_what_it_cost(api: httpx.Client) -> None:
    headers = api.post("/embed", json={"inputs": ["hello world", "🙂"]}).headers
    assert headers["x-compute-characters"] == "12"
    assert headers["x-compute-tokens"] == str(4 + 3)
    assert {name for name in headers if name.startswith("x-") and name.endswith("-time")} == {
        "x-compute-time",
        "x-total-time",
        "x-tokenization-time",
        "x-queue-time",
        "x-inference-time",
    }
    assert int(headers["x-total-time"]) >= int(headers["x-inference-time"])


def test_similarity_is_the_cosine(api: httpx.Client) -> None:
    body = {"inputs": {"source_sentence": "a cat", "sentences": ["a kitten", "the stock market"]}}
    source, *others = vectors(embed(api, "all-minilm-l6-v2", ["a cat", "a kitten", "the stock market"]))
    expected = [source @ other for other in others]
    np.testing.assert_allclose(rows(api.post("/similarity", json=body)), expected, atol=FLOAT32_VALUES)
    assert len(rows(api.post("/tei/simila-lite/similarity", json={**body, "parameters": {"truncate": False}}))) == 2


def test_tokens_are_those_of_the_encoders_tokenizer(api: httpx.Client, exported_repository) -> None:
    tokenizer = Tokenizer.from_file(str(exported_repository.tower("all-minilm-l6-v2", "text").tokenizer))
    text = "Cats aren't dogs 🙂"
    (tokens,) = api.post("/tokenize", json={"inputs": text}).json()
    assert [token["id"] for token in tokens] == tokenizer.encode(text).ids
    assert tokens[0] == {"id": 101, "text": "[CLS]", "special": True, "start": None, "stop": None}
    assert tokens[1] == {"id": 8870, "text": "Cats", "special": False, "start": 0, "stop": 4}
    bare = api.post("/tei/all-minilm-l6-v2/tokenize", json={"inputs": [text], "add_special_tokens": False}).json()
    assert bare == [tokens[1:-1]]


def test_info_describes_an_encoder(api: httpx.Client) -> None:
    answer = api.get("/info").json()
    assert (answer["model_id"], answer["version"]) == ("all-minilm-l6-v2", __version__)
    assert answer["model_type"] == {"embedding": {"pooling": "mean"}}
    assert (answer["max_input_length"], answer["max_client_batch_size"]) == (256, 64)
    assert api.get("/tei/simila-lite/info").json()["model_id"] == "simila-lite"


@pytest.mark.parametrize(
    ("path", "body", "status", "kind", "words"),
    [
        ("/embed", {"inputs": []}, 400, "validation", "inputs: must not be empty"),
        ("/embed", {"inputs": "a", "normalize": False}, 400, "validation", "normalize"),
        ("/embed", {"inputs": ["a"] * 65}, 413, "validation", "65 inputs are more than the limit of 64"),
        ("/embed", {"inputs": "word " * 600, "truncate": False}, 422, "validation", "context length"),
        ("/tei/nope/embed", {"inputs": "a"}, 404, "validation", "unknown encoder 'nope'"),
        ("/tei/efficientnet-lite0/tokenize", {"inputs": "a"}, 422, "validation", "embeds no texts"),
        ("/tei/all-minilm-l6-v2/nope", {}, 404, "validation", "Not Found"),
    ],
)
def test_errors_have_its_shape(api: httpx.Client, path: str, body: dict, status: int, kind: str, words: str) -> None:
    response = api.post(path, json=body)
    assert response.status_code == status
    assert set(response.json()) == {"error", "error_type"}
    assert response.json()["error_type"] == kind
    assert words in response.json()["error"]


def test_an_error_before_any_route_has_its_shape_too(api: httpx.Client) -> None:
    response = api.post("/embed", json={"inputs": "a"}, headers={"host": "evil.example"})
    assert response.json()["error"].startswith("this server does not answer to the host")
    slow = api.post("/embed", json={"inputs": "a"}, headers={"x-request-timeout": "no"})
    assert slow.json()["error_type"] == "validation"
