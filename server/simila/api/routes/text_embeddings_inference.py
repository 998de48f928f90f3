"""Text Embeddings Inference's routes: bare for the default encoder, under `/tei/{model}` for any."""

import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import Request, Response

from simila.api.accept import JSON
from simila.api.dependencies import FromServices
from simila.api.request_metrics import BEGAN_AT
from simila.api.router import protocol_router
from simila.api.schemas.text_embeddings_inference import (
    EmbedRequest,
    InfoResponse,
    SimilarityRequest,
    TeiError,
    TokenEntry,
    TokenizeRequest,
    TokenizeResponse,
)
from simila.domain.inputs import Embedded

PREFIX = "/tei/"
PATHS = ("/", "/embed", "/similarity", "/tokenize", "/info", "/health")
ERROR_TYPES = {413: "validation", 424: "backend", 429: "overloaded", 503: "unhealthy", 504: "overloaded"}

router = protocol_router("text embeddings inference", TeiError)


def tei_error(status: int, detail: Mapping[str, Any]) -> dict[str, Any]:
    """TEI's body of an error."""
    kind = ERROR_TYPES.get(status, "validation" if status < 500 else "backend")
    return {"error": detail["message"], "error_type": kind}


@router.post("/", summary="Embed texts by the default encoder", response_model=list[list[float]])
@router.post("/tei/{model}", summary="Embed texts by a named encoder", response_model=list[list[float]])
@router.post("/embed", summary="Embed texts as Text Embeddings Inference does", response_model=list[list[float]])
@router.post("/tei/{model}/embed", summary="Embed texts by a named encoder", response_model=list[list[float]])
async def embed(body: EmbedRequest, services: FromServices, request: Request, model: str = "") -> Response:
    """Bare rows of numbers, in the order of the inputs."""
    embedded = await services.embedding.embed(
        model or services.embedding.default_encoder(),
        services.reader.inputs_or_errors(body.inputs),
        truncate=body.truncate,
        dimensions=body.dimensions,
        role=body.role,
        field="inputs",
    )
    content = orjson.dumps(list(embedded.vectors), option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(content, headers=_headers(request, body.inputs, embedded), media_type=JSON)


@router.post("/similarity", summary="Compare a sentence with others", response_model=list[float])
@router.post("/tei/{model}/similarity", summary="Compare sentences by a named encoder", response_model=list[float])
async def similarity(body: SimilarityRequest, services: FromServices, model: str = "") -> Response:
    """The cosine of the source sentence and each of the others."""
    sentences = body.inputs.sentences
    services.reader.check_count(len(sentences), "inputs.sentences")
    names = ["inputs.source_sentence", *(f"inputs.sentences[{position}]" for position in range(len(sentences)))]
    source, *others = (
        services.reader.text(text, name)
        for text, name in zip([body.inputs.source_sentence, *sentences], names, strict=True)
    )
    role = body.parameters.role
    compared = await services.reranking.compare(
        model or services.embedding.default_encoder(),
        source,
        others,
        names,
        roles=(role, role),
        truncate=body.parameters.truncate,
    )
    return Response(orjson.dumps(compared.cosines, option=orjson.OPT_SERIALIZE_NUMPY), media_type=JSON)


@router.post("/tokenize", summary="Split texts into tokens")
@router.post("/tei/{model}/tokenize", summary="Split texts into tokens of a named encoder")
async def tokenize(body: TokenizeRequest, services: FromServices, model: str = "") -> TokenizeResponse:
    """The tokens of each text, before it is cut at the encoder's context length."""
    services.reader.check_count(len(body.inputs), "inputs")
    texts = [services.reader.text(text, f"inputs[{position}]") for position, text in enumerate(body.inputs)]
    tokens = await services.embedding.tokenize(
        model or services.embedding.default_encoder(), texts, special_tokens=body.add_special_tokens
    )
    return TokenizeResponse(
        [[TokenEntry.of(token, text.text) for token in row] for row, text in zip(tokens, texts, strict=True)]
    )


@router.get("/health", summary="Can every encoder answer?")
async def health(services: FromServices) -> Response:
    readiness = await services.readiness.check()
    return Response(status_code=HTTPStatus.OK if readiness.is_ready else HTTPStatus.SERVICE_UNAVAILABLE)


@router.get("/info", summary="Describe the default encoder")
@router.get("/tei/{model}/info", summary="Describe an encoder as Text Embeddings Inference does")
async def info(services: FromServices, model: str = "") -> InfoResponse:
    status = services.pool.status(model or services.embedding.default_encoder())
    return InfoResponse.of(status, services.reader.max_inputs)


def _headers(request: Request, inputs: Sequence[Any], embedded: Embedded) -> dict[str, str]:
    """TEI's, in whole milliseconds."""
    total = time.perf_counter() - request.scope[BEGAN_AT]
    seconds = {
        "x-compute-time": total,
        "x-total-time": total,
        "x-tokenization-time": embedded.timings.preprocess_seconds,
        "x-queue-time": embedded.timings.queue_seconds,
        "x-inference-time": embedded.timings.inference_seconds,
    }
    return {
        "x-compute-type": "simila",
        "x-compute-characters": str(sum(len(entry) for entry in inputs if isinstance(entry, str))),
        "x-compute-tokens": str(sum(embedded.tokens)),
        **{name: str(round(1000 * value)) for name, value in seconds.items()},
    }
