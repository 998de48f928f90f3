"""Vectors to answers, without a Python float a number."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pybase64
from fastapi import Response

from simila.api.accept import JSON, OCTETS
from simila.api.errors import detail_of
from simila.api.schemas.embeddings import EmbeddingOptions
from simila.domain.inputs import Embedded
from simila.services.embedding import name_failures

HEADERS = {
    "x-total-time": "Milliseconds from the request's headers to its answer",
    "x-preprocess-time": "Milliseconds of decoding and tokenising; of parts that ran side by side the slowest counts",
    "x-queue-time": "Milliseconds until the first of the inputs was run",
    "x-inference-time": "Milliseconds from then until the last was done",
    "x-compute-tokens": "Tokens that the encoder read",
    "x-embedding-count": "Rows, of an answer in octets",
    "x-embedding-dimensions": "Values of a row, of an answer in octets",
}
DOCUMENTED_ANSWER: dict[str, Any] = {
    "description": "The vectors, in the order of the inputs",
    "content": {OCTETS: {"schema": {"type": "string", "format": "binary"}}},
    "headers": {
        name: {"description": description, "schema": {"type": "string"}} for name, description in HEADERS.items()
    },
}


def embeddings_answer(
    embedded: Embedded, names: Sequence[str], options: EmbeddingOptions, *, octets: bool, began_at: float
) -> Response:
    """`EmbeddingsResponse` as JSON, or rows of little-endian float32 one after the other.

    The request came in at `began_at`, by `time.perf_counter`.
    """
    timings = embedded.timings
    content = _octets(embedded) if octets else _json(embedded, names, options)
    headers = {
        "x-total-time": _milliseconds(time.perf_counter() - began_at),
        "x-preprocess-time": _milliseconds(timings.preprocess_seconds),
        "x-queue-time": _milliseconds(timings.queue_seconds),
        "x-inference-time": _milliseconds(timings.inference_seconds),
        "x-compute-tokens": str(sum(embedded.tokens)),
    }
    if octets:
        rows, dimensions = embedded.vectors.shape
        headers |= {"x-embedding-count": str(rows), "x-embedding-dimensions": str(dimensions)}
    return Response(content, headers=headers, media_type=OCTETS if octets else JSON)


def _octets(embedded: Embedded) -> bytes:
    return np.ascontiguousarray(embedded.vectors, dtype="<f4").tobytes()


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"


def _json(embedded: Embedded, names: Sequence[str], options: EmbeddingOptions) -> bytes:
    vectors: Sequence[Any] = list(embedded.vectors)
    if options.encoding_format == "base64":
        rows = np.ascontiguousarray(embedded.vectors, dtype="<f4")
        vectors = [pybase64.b64encode_as_string(row) for row in rows]
    entries = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    for index, truncated in enumerate(embedded.truncated):
        if truncated:
            entries[index]["truncated"] = True
    for index, failure in embedded.failures.items():
        error = detail_of(name_failures({index: failure}, names)).model_dump()
        entries[index] = {"object": "embedding", "index": index, "embedding": None, "error": error}
    tokens = sum(embedded.tokens)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    body = {"object": "list", "data": entries, "model": options.model, "usage": usage}
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
