"""`POST /v1/classify`: Jina's shape, with cosines, templates and top-k."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field

from simila.api.schemas.base import RequestBody
from simila.api.schemas.inputs import EmbeddingInputs, SourceInputs
from simila.domain.results import Prediction
from simila.services.ranking import Classified

NonEmpty = Annotated[str, Field(min_length=1)]
TopK = Annotated[int, Field(ge=1)]


class ClassifyRequest(RequestBody):
    model: str
    input: EmbeddingInputs
    labels: list[NonEmpty]
    templates: list[NonEmpty] | None = None
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

    @classmethod
    def of(cls, index: int, predictions: list[Prediction]) -> Self:
        entries = [PredictionEntry(label=p.label, score=p.score, cosine=p.cosine) for p in predictions]
        return cls(index=index, prediction=entries[0].label, score=entries[0].score, predictions=entries)


class ClassifyUsage(BaseModel):
    total_tokens: int


class ClassifyResponse(BaseModel):
    usage: ClassifyUsage
    data: list[ClassificationEntry]

    @classmethod
    def of(cls, classified: Classified) -> Self:
        data = [ClassificationEntry.of(index, row) for index, row in enumerate(classified.predictions)]
        return cls(usage=ClassifyUsage(total_tokens=classified.tokens), data=data)
