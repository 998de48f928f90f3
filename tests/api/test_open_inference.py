"""The Open Inference Protocol over HTTP: what a client may send that the official ones do not, and what is refused."""

import json
import struct
from typing import Any

import httpx
import numpy as np
import pytest

from api.wire import b64, embed, vectors
from simila import __version__
from tolerances import FLOAT32_VALUES

pytestmark = pytest.mark.protocol("Open Inference Protocol")

JSON_LENGTH = "Inference-Header-Content-Length"


def text(*texts: str, **changes: Any) -> dict[str, Any]:
    return {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": list(texts), **changes}


def infer(api: httpx.Client, *inputs: dict[str, Any], model: str = "all-minilm-l6-v2", **body: Any) -> httpx.Response:
    return api.post(f"/v2/models/{model}/infer", json={"inputs": inputs, **body})


def rows(response: httpx.Response) -> np.ndarray:
    assert response.status_code == httpx.codes.OK, response.text
    (output,) = response.json()["outputs"]
    assert (output["name"], output["datatype"]) == ("embedding", "FP32")
    return np.array(output["data"], dtype=np.float32).reshape(output["shape"])


def octets(*elements: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


def test_rows_are_the_vectors_of_the_texts(api: httpx.Client) -> None:
    response = infer(api, text("one", "two"), id="42")
    expected = vectors(embed(api, "all-minilm-l6-v2", ["one", "two"]))
    np.testing.assert_allclose(rows(response), expected, atol=FLOAT32_VALUES)
    assert {key: response.json()[key] for key in ("model_name", "model_version", "id")} == {
        "model_name": "all-minilm-l6-v2",
        "model_version": "1",
        "id": "42",
    }


@pytest.mark.parametrize("changes", [{"shape": [2, 1], "data": [["one"], ["two"]]}, {"shape": [2, 1]}])
def test_data_may_be_nested_or_flat(api: httpx.Client, changes: dict[str, Any]) -> None:
    np.testing.assert_array_equal(rows(infer(api, text("one", "two", **changes))), rows(infer(api, text("one", "two"))))


def test_texts_and_images_of_one_space_are_rows_in_order(api: httpx.Client, photo) -> None:
    coffee = b64(photo("coffee.png"))
    image = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [coffee]}
    served = rows(infer(api, text("a cup of coffee"), image, model="simila-lite"))
    expected = vectors(embed(api, "simila-lite", ["a cup of coffee", {"image": coffee}]))
    np.testing.assert_allclose(served, expected, atol=FLOAT32_VALUES)


def test_octets_after_the_json(api: httpx.Client) -> None:
    content = octets(b"one", "zwölf".encode())
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "text",
                    "shape": [2],
                    "datatype": "BYTES",
                    "parameters": {"binary_data_size": len(content)},
                }
            ],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    path = "/v2/models/all-minilm-l6-v2/versions/1/infer"
    response = api.post(path, content=head + content, headers={JSON_LENGTH: str(len(head))})
    assert response.headers["content-type"] == "application/octet-stream"
    length = int(response.headers[JSON_LENGTH])
    (output,) = json.loads(response.content[:length])["outputs"]
    assert output == {
        "name": "embedding",
        "datatype": "FP32",
        "shape": [2, 384],
        "parameters": {"binary_data_size": 2 * 384 * 4},
    }
    served = np.frombuffer(response.content[length:], dtype="<f4").reshape(2, 384)
    expected = vectors(embed(api, "all-minilm-l6-v2", ["one", "zwölf"]))
    np.testing.assert_allclose(served, expected, atol=FLOAT32_VALUES)


def test_an_output_may_ask_for_octets_itself(api: httpx.Client) -> None:
    output = {"name": "embedding", "parameters": {"binary_data": True}}
    assert JSON_LENGTH in infer(api, text("one"), outputs=[output]).headers
    output["parameters"]["binary_data"] = False
    answer = infer(api, text("one"), outputs=[output], parameters={"binary_data_output": True})
    assert JSON_LENGTH not in answer.headers


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"inputs": []}, "inputs: must not be empty"),
        ({"inputs": [text("a", shape=[2])]}, "1 elements do not fit the shape [2]"),
        ({"inputs": [text("a", "b", shape=[1, 2])]}, "the shape is [n] or [n, 1]"),
        ({"inputs": [text("a", shape=[-1, 1])]}, "and n is not 0"),
        ({"inputs": [text("a", "b", shape=[])]}, "2 elements do not fit"),
        ({"inputs": [text(shape=[0])]}, "n is not 0"),
        ({"inputs": [text("a", name="pixels")]}, "reads text, not 'pixels'"),
        ({"inputs": [text("a", datatype="FP32")]}, "inputs[0].datatype"),
        ({"inputs": [text("a", data=[1])]}, "strings in JSON"),
        ({"inputs": [text("a", data=None)]}, "shared memory is not read"),
        ({"inputs": [text("a", data=None, parameters={"binary_data_size": 9})]}, "nor as many octets as it says"),
        ({"inputs": [text("a")], "outputs": [{"name": "logits"}]}, "gives 'embedding', not 'logits'"),
        ({"inputs": [text(*["a"] * 65)]}, "65 inputs are more than the limit of 64"),
    ],
)
def test_what_does_not_fit_is_refused_in_its_shape(api: httpx.Client, body: dict[str, Any], words: str) -> None:
    response = api.post("/v2/models/all-minilm-l6-v2/infer", json=body)
    assert response.status_code in (400, 413)
    assert set(response.json()) == {"error"}
    assert words in response.json()["error"]


@pytest.mark.parametrize(
    ("head", "content", "length", "words"),
    [
        ({"binary_data_size": 6}, octets(b"one")[:-1], None, "end before the 1 elements"),
        ({"binary_data_size": 3}, b"abc", None, "end before the 1 elements"),
        ({"binary_data_size": 7}, octets(b"one") + b"x", None, "1 octets after the JSON belong to no input"),
        ({"binary_data_size": 14}, octets(b"one", b"two"), None, "7 octets are left after the 1 elements"),
        ({"binary_data_size": 7}, octets(b"\xff\xff\xff"), None, "not UTF-8"),
        ({}, b"", "much", "not a number of octets"),
    ],
)
def test_octets_that_do_not_fit_are_refused(
    api: httpx.Client, head: dict[str, int], content: bytes, length: str | None, words: str
) -> None:
    entry = {"name": "text", "shape": [1], "datatype": "BYTES", "parameters": head}
    body = json.dumps({"inputs": [entry]}).encode()
    headers = {JSON_LENGTH: length or str(len(body))}
    response = api.post("/v2/models/all-minilm-l6-v2/infer", content=body + content, headers=headers)
    assert (response.status_code, words in response.json()["error"]) == (400, True), response.text


def test_every_bad_element_is_named(api: httpx.Client) -> None:
    image = {"name": "image", "shape": [2], "datatype": "BYTES", "data": ["no base64!", "="]}
    response = infer(api, image, model="simila-lite")
    assert "image[0]" in response.json()["error"]
    assert "image[1]" in response.json()["error"]


def test_what_is_not_served_is_not_found(api: httpx.Client) -> None:
    for path in ("/v2/models/nope", "/v2/models/all-minilm-l6-v2/versions/2", "/v2/nope"):
        response = api.get(path)
        assert (response.status_code, set(response.json())) == (404, {"error"})


def test_metadata_lists_the_towers(api: httpx.Client) -> None:
    assert api.get("/v2").json() == {
        "name": "simila",
        "version": __version__,
        "extensions": ["binary_tensor_data", "model_configuration", "model_repository"],
    }
    metadata = api.get("/v2/models/simila-lite").json()
    assert {entry["name"]: entry["shape"] for entry in metadata["inputs"]} == {"image": [-1, 1], "text": [-1, 1]}
    assert metadata["outputs"] == [{"name": "embedding", "datatype": "FP32", "shape": [-1, 384]}]
    assert api.get("/v2/models/simila-lite/ready").json() == {"name": "simila-lite", "ready": True}
    assert api.get("/v2/health/ready").json() == {"ready": True}


def test_a_web_page_cannot_take_an_encoder_out_of_service(api: httpx.Client) -> None:
    path = "/v2/repository/models/all-minilm-l6-v2/unload"
    response = api.post(path, headers={"origin": "http://evil.example"})
    assert (response.status_code, "web pages" in response.json()["error"]) == (400, True)
