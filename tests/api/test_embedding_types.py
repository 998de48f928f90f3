"""Vectors in fewer bits, in every form of answer."""

import base64
import io

import httpx
import numpy as np
import ormsgpack
import pyarrow as pa
import pytest

from api.wire import embed, error, vectors
from simila.domain.embedding_types import in_type
from simila_client import InvalidArgument, Simila

TEXTS = ["a red dress", "ein rotes Kleid", "🙂"]
MODEL = "all-minilm-l6-v2"
DTYPES = {"float16": "<f2", "int8": "i1", "binary": "i1", "ubinary": "u1"}
pytestmark = pytest.mark.parametrize("embedding_type", DTYPES)


@pytest.fixture
def expected(api: httpx.Client, embedding_type):
    return in_type(vectors(embed(api, MODEL, TEXTS)), embedding_type)


def ask(api: httpx.Client, accept: str, **options: object) -> httpx.Response:
    response = api.post("/v1/embeddings", json={"model": MODEL, "input": TEXTS, **options}, headers={"accept": accept})
    assert response.status_code == httpx.codes.OK
    return response


def test_json_has_numbers_or_base64(api, embedding_type, expected):
    numbers = vectors(embed(api, MODEL, TEXTS, embedding_type=embedding_type))
    np.testing.assert_array_equal(numbers, expected)
    body = embed(api, MODEL, TEXTS, embedding_type=embedding_type, encoding_format="base64")
    rows = [np.frombuffer(base64.b64decode(entry["embedding"]), DTYPES[embedding_type]) for entry in body["data"]]
    np.testing.assert_array_equal(rows, expected)


def test_octets_say_what_they_are(api, embedding_type, expected):
    response = ask(api, "application/octet-stream", embedding_type=embedding_type)
    assert (response.headers["x-embedding-type"], response.headers["x-embedding-dimensions"]) == (embedding_type, "384")
    rows = np.frombuffer(response.content, DTYPES[embedding_type]).reshape(3, -1)
    np.testing.assert_array_equal(rows, expected)


def test_arrow_and_messagepack(api, embedding_type, expected):
    stream = ask(api, "application/vnd.apache.arrow.stream", embedding_type=embedding_type).content
    column = pa.ipc.open_stream(io.BytesIO(stream)).read_all()["embedding"].combine_chunks()
    np.testing.assert_array_equal(column.flatten().to_numpy().reshape(3, -1), expected)
    packed = ormsgpack.unpackb(ask(api, "application/msgpack", embedding_type=embedding_type).content)
    np.testing.assert_array_equal([entry["embedding"] for entry in packed["data"]], expected)


def test_dimensions_are_cut_before_the_type(api, embedding_type):
    short = vectors(embed(api, MODEL, TEXTS, dimensions=20))
    found = vectors(embed(api, MODEL, TEXTS, dimensions=20, embedding_type=embedding_type))
    np.testing.assert_array_equal(found, in_type(short, embedding_type))


def test_the_client_gives_unit_vectors_and_what_was_sent(server_url, embedding_type, expected):
    with Simila(server_url) as client:
        exact = client.embed(TEXTS, model=MODEL)
        answer = client.embed(TEXTS, model=MODEL, embedding_type=embedding_type)
        with pytest.raises(InvalidArgument, match="embedding_type 'int4' is none of float, float16, int8"):
            client.embed(TEXTS, model=MODEL, embedding_type="int4")
    np.testing.assert_array_equal(answer.codes, expected)
    assert answer.vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(answer.vectors, axis=1), 1, rtol=1e-6)
    least = {"float16": 0.999999, "int8": 0.9999}.get(embedding_type, 0.7)
    assert (answer.vectors * exact.vectors).sum(1).min() > least


def test_an_unknown_type_is_refused(api, embedding_type):
    response = api.post("/v1/embeddings", json={"model": MODEL, "input": "one", "embedding_type": f"{embedding_type}_"})
    assert (response.status_code, error(response)["param"]) == (400, "embedding_type")
