"""Infinity's `POST /embeddings`: OpenAI's shape, in which `model` may be left out and `dimensions` may be 0."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from simila.api.schemas.base import Text
from simila.api.schemas.embeddings import EmbeddingsRequest, Modality

NO_MODEL = "default/not-specified"
"""What Infinity's own client sends when it is given no model."""


def _none_for_zero(value: Any) -> Any:
    return None if value == 0 else value


class InfinityEmbeddingsRequest(EmbeddingsRequest):
    model: Text = NO_MODEL
    dimensions: Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(_none_for_zero)] = None
    modality: Modality = "text"

    def of_model(self, default: str) -> EmbeddingsRequest:
        """The request with a model: `default` where it names none."""
        return self.model_copy(update={"model": default}) if self.model == NO_MODEL else self
