"""`POST /v1/embeddings`: OpenAI's shape, with images."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from simila.api.errors import ErrorDetail
from simila.api.schemas.base import RequestBody, Text
from simila.api.schemas.inputs import EmbeddingInput, EmbeddingInputs
from simila.api.schemas.own_errors import own_errors
from simila.domain.embedding_types import EmbeddingType
from simila.domain.inputs import Role

Task = Literal["retrieval.query", "retrieval.passage", "text-matching", "classification", "separation"]
ROLES: Mapping[str, Role] = {"retrieval.query": "query", "retrieval.passage": "passage"}
Modality = Literal["text", "image"]


class EmbeddingOptions(RequestBody):
    """All of a request but what is to be embedded."""

    model: Text
    encoding_format: Literal["float", "base64"] = "float"
    """How vectors are written in a JSON answer."""
    embedding_type: Literal["float", "float16", "int8", "binary", "ubinary", "base64"] = "float"
    """What vectors consist of: float32, float16, int8 scaled to each vector's largest value, or a bit a value, as
    signed (`binary`) or unsigned (`ubinary`) bytes. `base64` is float32 in base64."""
    dimensions: Annotated[int, Field(ge=1)] | None = None
    truncate: bool = True
    """Cut texts at the encoder's context length; `false` refuses them instead."""
    on_error: Literal["fail", "partial"] = "fail"
    """`partial` answers as long as one input succeeds; each that fails has its own `error` then."""
    task: Task | None = None
    """What the texts are for: an encoder that was trained with prefixes puts its own before queries and passages."""
    user: Text | None = None

    @property
    def value_type(self) -> EmbeddingType:
        return "float" if self.embedding_type == "base64" else self.embedding_type

    @property
    def is_base64(self) -> bool:
        return "base64" in (self.encoding_format, self.embedding_type)

    @property
    def role(self) -> Role | None:
        return ROLES.get(self.task or "")


class EmbeddingsRequest(EmbeddingOptions):
    input: Annotated[EmbeddingInputs, own_errors(EmbeddingInput)]
    modality: Modality | None = None
    """What strings are. Without it, a data URI of an image is an image, and any other string a text."""
    normalized: Literal[True] = True
    """Vectors are of unit length, always."""


class EmbeddingEntry(BaseModel):
    """One vector. In base64 it is little-endian; `truncated` is there only when the text was cut.

    With `on_error: "partial"`, `embedding` is null where the input failed, and `error` says why.
    """

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | list[int] | str | None
    truncated: Literal[True] | None = None
    error: ErrorDetail | None = None


class Usage(BaseModel):
    """Tokens that the encoder read, special tokens included; images count none."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsResponse(BaseModel):
    object: Literal["list"] = "list"
    data: list[EmbeddingEntry]
    model: str
    usage: Usage
