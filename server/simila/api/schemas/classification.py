"""`POST /v1/classify`: Jina's shape, with cosines, templates and top-k."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from simila.api.schemas.base import RequestBody, Text
from simila.api.schemas.inputs import EmbeddingInputs, SourceInputs

TopK = Annotated[int, Field(ge=1)]


class ClassifyRequest(RequestBody):
    model: Text
    input: EmbeddingInputs
    labels: Annotated[list[Text], Field(fail_fast=True)]
    templates: Annotated[list[Text], Field(fail_fast=True)] | None = None
    """Prompts with `{}` where the label goes; by default the encoder's own."""
    top_k: TopK | None = None


class CollectionClassifyRequest(RequestBody):
    input: SourceInputs
    top_k: TopK | None = None


class PredictionEntry(BaseModel):
    """A class: its probability as `score`, and the cosine of its prototype and the input."""

    label: str
    score: float
    cosine: float


class ClassificationEntry(BaseModel):
    object: Literal["classification"] = "classification"
    index: int
    prediction: str
    score: float
    predictions: list[PredictionEntry]


class ClassifyUsage(BaseModel):
    total_tokens: int


class ClassifyResponse(BaseModel):
    usage: ClassifyUsage
    data: list[ClassificationEntry]
