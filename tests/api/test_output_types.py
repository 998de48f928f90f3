"""Vectors as an Arrow stream and as MessagePack, for clients that ask for them."""

import json

import httpx
import numpy as np
import ormsgpack
import pyarrow as pa
import pytest

from api.wire import b64, embed, vectors
from tolerances import FLOAT32_VALUES

pytestmark = pytest.mark.protocol("Arrow and MessagePack answers")

ARROW_STREAM = "application/vnd.apache.arrow.stream"
MESSAGE_PACK = "application/msgpack"
TEXTS = ["one", "word " * 600]


def ask(api: httpx.Client, accept: str, **options: object) -> httpx.Response:
    body = {"model": "all-minilm-l6-v2", "input": TEXTS, **options}
    response = api.post("/v1/embeddings", json=body, headers={"accept": accept})
    assert (response.status_code, response.headers["content-type"]) == (200, accept)
    return response


def test_an_arrow_stream_has_the_vectors_of_the_json_answer(api: httpx.Client) -> None:
    table = pa.ipc.open_stream(ask(api, ARROW_STREAM).content).read_all()
    assert table.schema.metadata == {b"model": b"all-minilm-l6-v2"}
    assert table["embedding"].type == pa.list_(pa.float32(), 384)
    rows = np.array(table["embedding"].to_pylist(), dtype=np.float32)
    np.testing.assert_allclose(rows, vectors(embed(api, "all-minilm-l6-v2", TEXTS)), atol=FLOAT32_VALUES)
    assert table["tokens"].to_pylist() == [3, 256]
    assert table["truncated"].to_pylist() == [False, True]
    assert table["error"].to_pylist() == [None, None]


def test_an_arrow_stream_says_which_inputs_failed(api: httpx.Client) -> None:
    broken = {"image": b64(b"no image")}
    response = ask(api, ARROW_STREAM, model="simila-lite", input=["one", broken], on_error="partial")
    table = pa.ipc.open_stream(response.content).read_all()
    assert [row is None for row in table["embedding"].to_pylist()] == [False, True]
    assert json.loads(table["error"][1].as_py())["code"] == "invalid_image"


def test_message_pack_is_the_json_answer(api: httpx.Client) -> None:
    packed = ormsgpack.unpackb(ask(api, MESSAGE_PACK).content)
    answer = embed(api, "all-minilm-l6-v2", TEXTS)
    np.testing.assert_allclose(vectors(packed), vectors(answer), atol=FLOAT32_VALUES)
    for entry in [*packed["data"], *answer["data"]]:
        entry["embedding"] = None
    assert packed == answer


def test_message_pack_needs_no_base64_for_octets(api: httpx.Client) -> None:
    packed = ormsgpack.unpackb(ask(api, MESSAGE_PACK, encoding_format="base64").content)
    rows = np.array([np.frombuffer(entry["embedding"], dtype="<f4") for entry in packed["data"]])
    np.testing.assert_allclose(rows, vectors(embed(api, "all-minilm-l6-v2", TEXTS)), atol=FLOAT32_VALUES)
