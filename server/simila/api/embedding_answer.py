"""Vectors to JSON, without a Python float a number."""

import base64
from typing import Any, Literal

import numpy as np
import orjson

from simila.domain.inputs import Embedded
from simila.domain.vectors import Float32


def embeddings_json(embedded: Embedded, *, model: str, encoding_format: Literal["float", "base64"]) -> bytes:
    """The body of `EmbeddingsResponse`."""
    tokens = sum(embedded.tokens)
    return orjson.dumps(
        {
            "object": "list",
            "data": [_entry(embedded, index, encoding_format) for index in range(len(embedded.vectors))],
            "model": model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        },
        option=orjson.OPT_SERIALIZE_NUMPY,
    )


def _entry(embedded: Embedded, index: int, encoding_format: Literal["float", "base64"]) -> dict[str, Any]:
    vector = embedded.vectors[index]
    embedding = _base64(vector) if encoding_format == "base64" else vector
    entry = {"object": "embedding", "index": index, "embedding": embedding}
    return entry | {"truncated": True} if embedded.truncated[index] else entry


def _base64(vector: Float32) -> str:
    return base64.b64encode(np.ascontiguousarray(vector, dtype="<f4").tobytes()).decode()
