"""NVIDIA's own Triton client, unchanged, over HTTP and over gRPC."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.grpc.aio as triton_grpc_aio
import tritonclient.http as triton_http
from tritonclient.utils import InferenceServerException

from api.wire import embed, vectors
from clients.conftest import JOINT_ENCODER, TEXT_ENCODER, Addresses
from tolerances import FLOAT32_VALUES

pytestmark = pytest.mark.protocol("Open Inference Protocol", client="tritonclient")

TEXTS = ["one", "zwölf"]


@dataclass(frozen=True)
class Package:
    """The client of one transport: their classes have the same names."""

    module: Any
    client: Any


@pytest.fixture(scope="module", params=["http", "grpc"])
def triton(request: pytest.FixtureRequest, addresses: Addresses) -> Iterator[Package]:
    module = {"http": triton_http, "grpc": triton_grpc}[request.param]
    address = {"http": addresses.url.removeprefix("http://"), "grpc": addresses.grpc}[request.param]
    with module.InferenceServerClient(address) as client:
        yield Package(module, client)


def tensor(module: Any, name: str, elements: list[Any], **options: Any) -> Any:
    values = np.array(elements, dtype=object).reshape(-1, 1)
    tensor = module.InferInput(name, list(values.shape), "BYTES")
    tensor.set_data_from_numpy(values, **options)
    return tensor


def test_health_and_metadata(triton: Package) -> None:
    client = triton.client
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(TEXT_ENCODER, "1")
    server, model = client.get_server_metadata(), client.get_model_metadata(JOINT_ENCODER)
    config = client.get_model_config(TEXT_ENCODER)
    if triton.module is triton_http:
        names = server["name"], model["name"], [one["name"] for one in model["inputs"]], config["output"][0]["dims"]
    else:
        names = server.name, model.name, [one.name for one in model.inputs], list(config.config.output[0].dims)
    assert names == ("simila", JOINT_ENCODER, names[2], [384])
    assert sorted(names[2]) == ["image", "text"]


def test_texts_become_vectors(triton: Package, direct: httpx.Client) -> None:
    inputs = [tensor(triton.module, "text", [text.encode() for text in TEXTS])]
    result = triton.client.infer(TEXT_ENCODER, inputs, request_id="42")
    expected = vectors(embed(direct, TEXT_ENCODER, TEXTS))
    np.testing.assert_allclose(result.as_numpy("embedding"), expected, atol=FLOAT32_VALUES)
    response = result.get_response()
    assert (response["id"] if triton.module is triton_http else response.id) == "42"


def test_an_image_is_the_octets_of_its_file(triton: Package, direct: httpx.Client, photo) -> None:
    inputs = [tensor(triton.module, "image", [photo("coffee.png")])]
    outputs = [triton.module.InferRequestedOutput("embedding")]
    served = triton.client.infer(JOINT_ENCODER, inputs, outputs=outputs, model_version="1").as_numpy("embedding")
    form = direct.post("/v1/embeddings", data={"model": JOINT_ENCODER}, files={"image": photo("coffee.png")})
    np.testing.assert_allclose(served, vectors(form.json()), atol=FLOAT32_VALUES)


def test_json_tensors_and_compressed_requests(addresses: Addresses, direct: httpx.Client) -> None:
    expected = vectors(embed(direct, TEXT_ENCODER, TEXTS))
    with triton_http.InferenceServerClient(addresses.url.removeprefix("http://")) as client:
        for coding in (None, "gzip", "deflate"):
            inputs = [tensor(triton_http, "text", TEXTS, binary_data=False)]
            outputs = [triton_http.InferRequestedOutput("embedding", binary_data=False)]
            answer = client.infer(TEXT_ENCODER, inputs, outputs=outputs, request_compression_algorithm=coding)
            np.testing.assert_allclose(answer.as_numpy("embedding"), expected, atol=FLOAT32_VALUES)


def test_calls_side_by_side_and_in_a_stream(addresses: Addresses, direct: httpx.Client) -> None:
    expected = vectors(embed(direct, TEXT_ENCODER, TEXTS))

    async def requests() -> Any:
        for name, inputs in (("text", TEXTS), ("nope", TEXTS)):
            yield {"model_name": TEXT_ENCODER, "inputs": [tensor(triton_grpc_aio, name, [t.encode() for t in inputs])]}

    async def ask() -> None:
        async with triton_grpc_aio.InferenceServerClient(addresses.grpc) as client:
            (request, _) = [one async for one in requests()]
            answers = await asyncio.gather(*(client.infer(**request) for _ in range(4)))
            for answer in answers:
                np.testing.assert_allclose(answer.as_numpy("embedding"), expected, atol=FLOAT32_VALUES)
            (first, nothing), (_, error) = [one async for one in client.stream_infer(requests())]
            np.testing.assert_allclose(first.as_numpy("embedding"), expected, atol=FLOAT32_VALUES)
            assert nothing is None
            assert "reads text, not 'nope'" in str(error)

    asyncio.run(ask())


def test_errors_are_its_own_exceptions(triton: Package) -> None:
    inputs = [tensor(triton.module, "text", [b"a"])]
    with pytest.raises(InferenceServerException, match="unknown encoder 'nope'"):
        triton.client.infer("nope", inputs)
    with pytest.raises(InferenceServerException, match="has version 1, and no 7"):
        triton.client.infer(TEXT_ENCODER, inputs, model_version="7")
    with pytest.raises(InferenceServerException, match="more than the limit of 64") as caught:
        triton.client.infer(TEXT_ENCODER, [tensor(triton.module, "text", [b"a"] * 65)])
    assert caught.value.status() in ("413", "StatusCode.OUT_OF_RANGE")


def test_encoders_come_and_go(triton: Package) -> None:
    client = triton.client

    def states() -> dict[str, str]:
        index = client.get_model_repository_index()
        if triton.module is triton_http:
            return {entry["name"]: entry["state"] for entry in index}
        return {entry.name: entry.state for entry in index.models}

    assert states() == {TEXT_ENCODER: "READY", JOINT_ENCODER: "READY"}
    client.unload_model(JOINT_ENCODER)
    assert states() == {TEXT_ENCODER: "READY", JOINT_ENCODER: "UNAVAILABLE"}
    assert not client.is_model_ready(JOINT_ENCODER)
    with pytest.raises(InferenceServerException, match="was unloaded"):
        client.infer(JOINT_ENCODER, [tensor(triton.module, "text", [b"a"])])
    client.load_model(JOINT_ENCODER)
    assert states()[JOINT_ENCODER] == "READY"
    assert client.infer(JOINT_ENCODER, [tensor(triton.module, "text", [b"a"])]).as_numpy("embedding").shape == (1, 384)


def message(**changes: Any) -> Any:
    entry = {"name": "text", "datatype": "BYTES", "shape": [1], "contents": {"bytes_contents": [b"one"]}}
    request = {"model_name": TEXT_ENCODER, "inputs": [{**entry, **changes}]}
    return triton_grpc.service_pb2.ModelInferRequest(**request)


@pytest.fixture(scope="module")
def stub(addresses: Addresses) -> Iterator[Any]:
    """The protocol's own stub, for messages that no client of tritonclient sends."""
    with grpc.insecure_channel(addresses.grpc) as channel:
        yield triton_grpc.service_pb2_grpc.GRPCInferenceServiceStub(channel)


def test_typed_contents_are_read_too(stub: Any, direct: httpx.Client) -> None:
    answer = stub.ModelInfer(message())
    served = np.frombuffer(answer.raw_output_contents[0], dtype="<f4")
    np.testing.assert_allclose(served, vectors(embed(direct, TEXT_ENCODER, "one"))[0], atol=FLOAT32_VALUES)


@pytest.mark.parametrize(
    ("changes", "raw", "words"),
    [
        ({"datatype": "FP32"}, [], "is of FP32, not BYTES"),
        ({"shape": [2]}, [], "1 elements do not fit the shape"),
        ({"contents": {}}, [b"\x01\x00"], "end before the 1 elements"),
        ({"contents": {}}, [b"", b""], "shared memory is not read"),
    ],
)
def test_messages_that_do_not_fit_are_refused(stub: Any, changes: dict[str, Any], raw: list[bytes], words: str) -> None:
    request = message(**changes)
    request.raw_input_contents.extend(raw)
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert words in caught.value.details()
