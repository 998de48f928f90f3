"""`POST /v1/embeddings`: OpenAI's shape, with images."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from simila.api.schemas.base import RequestBody
from simila.api.schemas.inputs import EmbeddingInputs


class EmbeddingsRequest(RequestBody):
    model: str
    input: EmbeddingInputs
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1)] | None = None
    truncate: bool = True
    """Cut texts at the encoder's context length; `false` refuses them instead."""
    user: str | None = None


class EmbeddingEntry(BaseModel):
    """One vector. In base64 it is little-endian float32; `truncated` is there only when the text was cut."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str
    truncated: Literal[True] | None = None


class Usage(BaseModel):
    """Tokens that the encoder read, special tokens included; images count none."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsResponse(BaseModel):
    object: Literal["list"] = "list"
    data: list[EmbeddingEntry]
    model: str
    usage: Usage
