"""The shapes of Hugging Face's Text Embeddings Inference."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, RootModel

from simila import __version__
from simila.api.schemas.base import NonEmptyList, RequestBody, Text
from simila.api.schemas.inputs import EmbeddingInputs
from simila.domain.inputs import Role
from simila.domain.results import Token
from simila.engine.model_pool import EncoderStatus

PROMPTS: dict[str, Role] = {"query": "query", "passage": "passage", "document": "passage"}


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class TextOptions(RequestBody):
    truncate: bool = True
    """Cut texts at the encoder's context length; `false` refuses them instead."""
    truncation_direction: Annotated[Literal["right"], BeforeValidator(_lower)] = "right"
    prompt_name: Literal["query", "passage", "document"] | None = None
    """Whose prefix the texts get, of an encoder that was trained with prefixes."""

    @property
    def role(self) -> Role | None:
        return PROMPTS.get(self.prompt_name or "")


class EmbedRequest(TextOptions):
    inputs: EmbeddingInputs
    normalize: Literal[True] = True
    """Vectors are of unit length, always."""
    dimensions: Annotated[int, Field(ge=1)] | None = None


class SimilarityInputs(RequestBody):
    source_sentence: Text
    sentences: NonEmptyList[Text]


class SimilarityRequest(RequestBody):
    inputs: SimilarityInputs
    parameters: TextOptions = TextOptions()


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class TokenizeRequest(RequestBody):
    inputs: Annotated[NonEmptyList[Text], BeforeValidator(_as_list, json_schema_input_type=Text | list[Text])]
    add_special_tokens: bool = True


class TokenEntry(BaseModel):
    """A token of a text; `start` and `stop` count its characters there, and a special token has none."""

    id: int
    text: str
    special: bool
    start: int | None
    stop: int | None

    @classmethod
    def of(cls, token: Token, text: str) -> Self:
        if token.span is None:
            return cls(id=token.id, text=token.text, special=True, start=None, stop=None)
        start, stop = token.span
        return cls(id=token.id, text=text[start:stop], special=False, start=start, stop=stop)


class TokenizeResponse(RootModel[list[list[TokenEntry]]]):
    """The tokens of each text."""


class TeiError(BaseModel):
    error: str
    error_type: Literal["validation", "overloaded", "unhealthy", "backend"]


class EmbeddingKind(BaseModel):
    pooling: str


class ModelKind(BaseModel):
    embedding: EmbeddingKind


class InfoResponse(BaseModel):
    """One encoder, as TEI describes the one that it serves. What has no bound here is null."""

    model_id: str
    model_sha: str
    model_dtype: str = "float32"
    model_type: ModelKind
    served_model_name: str
    max_concurrent_requests: int | None = None
    max_input_length: int
    max_batch_tokens: int | None = None
    max_batch_requests: int | None = None
    max_client_batch_size: int
    auto_truncate: bool = True
    tokenization_workers: int | None = None
    version: str = __version__
    sha: str | None = None
    docker_label: str | None = None

    @classmethod
    def of(cls, status: EncoderStatus, max_inputs: int) -> Self:
        tower = status.manifest.text
        return cls(
            model_id=status.manifest.name,
            served_model_name=status.manifest.name,
            model_sha=status.manifest.fingerprint,
            model_type=ModelKind(embedding=EmbeddingKind(pooling=tower.pooling if tower else "none")),
            max_input_length=tower.context_length_tokens if tower else 0,
            max_client_batch_size=max_inputs,
        )
