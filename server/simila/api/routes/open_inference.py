"""`/v2`: the Open Inference Protocol over HTTP, with the binary tensor extension and the model repository's."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Request, Response

from simila.api.accept import JSON, OCTETS
from simila.api.dependencies import services_of
from simila.api.json_depth import check_depth
from simila.api.open_inference import SERVER_METADATA, OpenInference
from simila.api.router import protocol_router
from simila.api.schemas.open_inference import (
    IndexEntry,
    IndexRequest,
    InferResponse,
    KserveError,
    ModelMetadata,
    ServerMetadata,
    infer_answer,
    infer_schema,
    read_infer,
)
from simila.domain.errors import InvalidInput

PREFIX = "/v2"
JSON_LENGTH = "Inference-Header-Content-Length"

router = protocol_router("open inference protocol", KserveError, prefix=PREFIX)


def kserve_error(_: int, detail: Mapping[str, Any]) -> dict[str, Any]:
    """The protocol's body of an error."""
    return {"error": detail["message"]}


async def _open_inference(request: Request) -> OpenInference:
    return OpenInference(services_of(request))


FromOpenInference = Annotated[OpenInference, Depends(_open_inference)]


@router.get("", summary="Describe the server")
async def server_metadata() -> ServerMetadata:
    return ServerMetadata.model_validate(SERVER_METADATA)


@router.get("/health/live", summary="Is the process alive?")
async def server_live() -> dict[str, bool]:
    return {"live": True}


@router.get("/health/ready", summary="Can every encoder answer?")
async def server_ready(protocol: FromOpenInference, response: Response) -> dict[str, bool]:
    return _readiness(response, is_ready=await protocol.is_server_ready())


@router.get("/models/{model}", summary="Describe an encoder as a model")
@router.get("/models/{model}/versions/{version}", summary="Describe a version")
async def model_metadata(model: str, protocol: FromOpenInference, version: str = "") -> ModelMetadata:
    return ModelMetadata.model_validate(protocol.metadata(model, version))


@router.get("/models/{model}/config", summary="Configuration of a model")
@router.get("/models/{model}/versions/{version}/config", summary="Configuration of a version")
async def model_configuration(model: str, protocol: FromOpenInference, version: str = "") -> dict[str, Any]:
    """Triton's `ModelConfig`, as far as clients read it."""
    return protocol.configuration(model, version)


@router.get("/models/{model}/ready", summary="Can this encoder answer?")
@router.get("/models/{model}/versions/{version}/ready", summary="Can this version answer?")
async def model_ready(model: str, protocol: FromOpenInference, response: Response, version: str = "") -> dict[str, Any]:
    return {"name": model, **_readiness(response, is_ready=protocol.is_ready(model, version))}


INFER: dict[str, Any] = {
    "response_model": InferResponse,
    "openapi_extra": {"requestBody": {"content": {JSON: {"schema": infer_schema()}}}},
}


@router.post("/models/{model}/infer", summary="Embed texts and images", **INFER)
@router.post("/models/{model}/versions/{version}/infer", summary="Embed by a version", **INFER)
async def infer(model: str, request: Request, protocol: FromOpenInference, version: str = "") -> Response:
    """Tensors `text` and `image` of BYTES in, `embedding` of FP32 out, in JSON or as octets after it."""
    body, json_bytes = await request.body(), _json_bytes(request)
    check_depth(body[:json_bytes], request.app.state.max_json_depth)
    asked, tensors = read_infer(body, json_bytes)
    vectors = await protocol.infer(model, version, tensors, [output.name for output in asked.outputs])
    content, json_bytes = infer_answer(model, asked, vectors)
    if json_bytes is None:
        return Response(content, media_type=JSON)
    return Response(content, media_type=OCTETS, headers={JSON_LENGTH: str(json_bytes)})


@router.post("/repository/index", summary="List the encoders as models")
async def repository_index(protocol: FromOpenInference, request: IndexRequest | None = None) -> list[IndexEntry]:
    ready_only = request is not None and request.ready
    return [IndexEntry.model_validate(entry) for entry in protocol.index(ready_only=ready_only)]


@router.post("/repository/models/{model}/load", summary="Load an encoder, or what is exported of it now")
async def load(model: str, request: Request, protocol: FromOpenInference) -> dict[str, Any]:
    _refuse_pages(request)
    await protocol.load(model)
    return {}


@router.post("/repository/models/{model}/unload", summary="Take an encoder out of service")
async def unload(model: str, request: Request, protocol: FromOpenInference) -> dict[str, Any]:
    _refuse_pages(request)
    await protocol.unload(model)
    return {}


def _readiness(response: Response, *, is_ready: bool) -> dict[str, bool]:
    response.status_code = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    return {"ready": is_ready}


def _json_bytes(request: Request) -> int | None:
    given = request.headers.get(JSON_LENGTH)
    if given is None:
        return None
    if not given.isdecimal():
        raise InvalidInput(f"{JSON_LENGTH} is '{given}', not a number of octets", param=JSON_LENGTH)
    return int(given)


def _refuse_pages(request: Request) -> None:
    """Keep a web page from this: it may send a body that is not declared as JSON anywhere, and browsers say so."""
    if "origin" in request.headers:
        raise InvalidInput("models are not loaded and unloaded by web pages: the request has an Origin", param="origin")
