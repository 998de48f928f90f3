"""Vectors to answers, without a Python float a number."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import ormsgpack
import pybase64
from fastapi import Response

from simila.api.accept import ARROW_STREAM, MESSAGE_PACK, OCTETS
from simila.api.embedding_table import embedding_stream
from simila.api.errors import ErrorDetail, detail_of
from simila.api.schemas.embeddings import EmbeddingOptions
from simila.domain.embedding_types import in_type
from simila.domain.inputs import Embedded
from simila.services.embedding import name_failures

OTHER_TYPES = (OCTETS, ARROW_STREAM, MESSAGE_PACK)
HEADERS = {
    "x-total-time": "Milliseconds from the request's headers to its answer",
    "x-preprocess-time": "Milliseconds of decoding and tokenising; of parts that ran side by side the slowest counts",
    "x-queue-time": "Milliseconds until the first of the inputs was run",
    "x-inference-time": "Milliseconds from then until the last was done",
    "x-compute-tokens": "Tokens that the encoder read",
    "x-embedding-count": "Rows, of an answer in octets",
    "x-embedding-dimensions": "Dimensions of the vectors, of an answer in octets",
    "x-embedding-type": "What the rows consist of, in an answer in octets: the request's `embedding_type`",
}
DOCUMENTED_ANSWER: dict[str, Any] = {
    "description": "The vectors, in the order of the inputs",
    "content": {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in OTHER_TYPES},
    "headers": {
        name: {"description": description, "schema": {"type": "string"}} for name, description in HEADERS.items()
    },
}


def embeddings_answer(
    embedded: Embedded, names: Sequence[str], options: EmbeddingOptions, *, media_type: str, began_at: float
) -> Response:
    """`EmbeddingsResponse` as JSON or MessagePack, its vectors as an Arrow stream, or rows in octets.

    The request came in at `began_at`, by `time.perf_counter`.
    """
    timings = embedded.timings
    content = _content(embedded, names, options, media_type)
    headers = {
        "x-total-time": _milliseconds(time.perf_counter() - began_at),
        "x-preprocess-time": _milliseconds(timings.preprocess_seconds),
        "x-queue-time": _milliseconds(timings.queue_seconds),
        "x-inference-time": _milliseconds(timings.inference_seconds),
        "x-compute-tokens": str(sum(embedded.tokens)),
    }
    if media_type == OCTETS:
        rows, dimensions = embedded.vectors.shape
        headers |= {
            "x-embedding-count": str(rows),
            "x-embedding-dimensions": str(dimensions),
            "x-embedding-type": options.value_type,
        }
    return Response(content, headers=headers, media_type=media_type)


def _content(embedded: Embedded, names: Sequence[str], options: EmbeddingOptions, media_type: str) -> bytes:
    rows = in_type(embedded.vectors, options.value_type)
    if media_type == OCTETS:
        return rows.tobytes()
    errors = {index: detail_of(name_failures({index: error}, names)) for index, error in embedded.failures.items()}
    if media_type == ARROW_STREAM:
        return embedding_stream(embedded, rows, errors, options.model)
    vectors: Sequence[Any] = list(rows)
    if media_type == MESSAGE_PACK:
        if options.is_base64:  # MessagePack has octets
            vectors = [row.tobytes() for row in rows]
        return ormsgpack.packb(_body(embedded, vectors, errors, options), option=ormsgpack.OPT_SERIALIZE_NUMPY)
    if options.is_base64:
        vectors = [pybase64.b64encode_as_string(row) for row in rows]
    return orjson.dumps(_body(embedded, vectors, errors, options), option=orjson.OPT_SERIALIZE_NUMPY)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"


def _body(
    embedded: Embedded, vectors: Sequence[Any], errors: Mapping[int, ErrorDetail], options: EmbeddingOptions
) -> dict[str, Any]:
    entries = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    for index, truncated in enumerate(embedded.truncated):
        if truncated:
            entries[index]["truncated"] = True
    for index, error in errors.items():
        entries[index] = {"object": "embedding", "index": index, "embedding": None, "error": error.model_dump()}
    tokens = sum(embedded.tokens)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": entries, "model": options.model, "usage": usage}
