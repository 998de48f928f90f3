"""`POST /v1/train` and `/v1/classifiers`: Jina's shapes, with methods, collections and progress."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from simila.api.schemas.base import NonEmptyList, RequestBody, Text
from simila.api.schemas.classification import ClassifyUsage
from simila.api.schemas.inputs import InputReader
from simila.api.schemas.one_source import OneSource, check_exactly_one
from simila.domain.errors import ClassifierUnavailable
from simila.domain.inputs import Source
from simila.services.classifiers import ClassifierState
from simila.services.training import Trained, TrainingPlan, TrainingProgress
from simila.storage.classifier_files import Method


class Example(OneSource):
    """A text, an image or a vector, and its class."""

    label: Text

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        check_exactly_one(self, ("text", "image", "vector"))
        return self


class TrainRequest(RequestBody):
    """`model` makes a classifier, `classifier_id` adds to one; `collection` makes one of its labelled items."""

    model: Text | None = None
    classifier_id: Text | None = None
    collection: Text | None = None
    input: NonEmptyList[Example] | None = None
    filter: dict[str, Any] | None = None
    method: Method = "nearest_mean"
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    k: Annotated[int, Field(ge=1)] | None = None
    """Of `knn`: how many neighbours vote."""
    penalty: float | None = None
    """Of `ridge` and `logistic`: how much weights cost."""
    num_iters: Annotated[int, Field(ge=1)] | None = None
    """Jina's; it changes nothing, because no method here needs to be told when to stop."""
    access: Literal["private", "public"] | None = None
    """Jina's; it changes nothing."""

    @model_validator(mode="after")
    def _says_of_what(self) -> Self:
        check_exactly_one(self, ("model", "classifier_id", "collection"))
        check_exactly_one(self, ("input", "collection"))
        if self.filter is not None and self.collection is None:
            raise ValueError("filter is of a collection's items: name the collection")
        fixed = [name for name in ("method", "name", "k", "penalty") if name in self.model_fields_set]
        if self.classifier_id is not None and fixed:
            raise ValueError(f"{fixed[0]} was fixed when the classifier was made: leave it out")
        return self

    def plan(self) -> TrainingPlan:
        given = {"k": self.k, "penalty": self.penalty}
        return TrainingPlan(self.method, self.name, {name: one for name, one in given.items() if one is not None})

    def examples(self, reader: InputReader) -> tuple[list[Source], list[str]]:
        """Read the inputs and their labels; errors name `input[position]`."""
        examples = self.input or []
        reader.check_count(len(examples))
        sources = [one.source(reader, f"input[{position}].") for position, one in enumerate(examples)]
        return sources, [one.label for one in examples]


class TrainResponse(BaseModel):
    classifier_id: str
    num_samples: int
    state: Literal["training", "ready", "failed"]
    usage: ClassifyUsage

    @classmethod
    def of(cls, trained: Trained) -> Self:
        return cls(
            classifier_id=trained.state.record.id,
            num_samples=trained.num_samples,
            state=trained.state.record.state,
            usage=ClassifyUsage(total_tokens=trained.tokens),
        )


class ProgressEntry(BaseModel):
    step: str
    samples_done: int
    samples_total: int


class ClassifierEntry(BaseModel):
    """A classifier; `used_number` and `used_at` are since the server started."""

    classifier_id: str
    state: Literal["training", "ready", "failed", "unavailable"]
    error: str | None = None
    model_name: str | None = None
    method: Method | None = None
    labels: list[str] | None = None
    num_samples: int | None = None
    access: Literal["private"] = "private"
    updated_number: int | None = None
    used_number: int | None = None
    created_at: str | None = None
    updated_at: str | None = None
    used_at: str | None = None
    metadata: Mapping[str, str | float] = {}
    progress: ProgressEntry | None = None

    @classmethod
    def of(
        cls, classifier_id: str, state: ClassifierState | ClassifierUnavailable, progress: TrainingProgress | None
    ) -> Self:
        if isinstance(state, ClassifierUnavailable):
            return cls(classifier_id=classifier_id, state="unavailable", error=state.message)
        record = state.record
        named = {"name": record.name} if record.name else {}
        return cls(
            classifier_id=classifier_id,
            state=record.state,
            error=record.error,
            model_name=record.encoder,
            method=record.method,
            labels=list(record.labels),
            num_samples=record.num_samples,
            updated_number=record.updated_number,
            used_number=state.used_number,
            created_at=record.created_at,
            updated_at=record.updated_at,
            used_at=state.used_at,
            metadata={**named, **record.options},
            progress=ProgressEntry(**vars(progress)) if progress else None,
        )
