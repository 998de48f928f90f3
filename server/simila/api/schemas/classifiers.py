"""`POST /v1/train` and `/v1/classifiers`: Jina's shapes, with methods, collections and progress."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from simila.api.schemas.base import NonEmptyList, RequestBody, Text
from simila.api.schemas.classification import ClassifyUsage, Label, class_sources
from simila.api.schemas.inputs import AnyInputs, InputReader
from simila.api.schemas.one_source import OneSource, check_exactly_one
from simila.domain.errors import ClassifierUnavailable
from simila.domain.inputs import Source
from simila.services.classifiers import ClassifierState
from simila.services.label_sets import Classes
from simila.services.training import Trained, TrainingPlan
from simila.services.training_jobs import TrainingProgress
from simila.storage.classifier_files import Method

OPTIONS = ("k", "penalty", "least_cosine", "fewest", "most", "share", "rounds", "spread", "item_weight")


class Example(OneSource):
    """A text, an image or a vector, and its class."""

    label: Text

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        check_exactly_one(self, ("text", "image", "vector"))
        return self


class TrainRequest(RequestBody):
    """`model` makes a classifier, `classifier_id` adds to one; `collection` makes one of its items."""

    model: Text | None = None
    classifier_id: Text | None = None
    collection: Text | None = None
    input: NonEmptyList[Example] | None = None
    filter: dict[str, Any] | None = None
    method: Method = "nearest_mean"
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    labels: Annotated[list[Label], Field(fail_fast=True)] | None = None
    """Of `keywords`, `pseudo_labels` and `label_propagation`: the classes before any item is looked at."""
    templates: Annotated[list[Text], Field(fail_fast=True)] | None = None
    template_set: Text | None = None
    k: Annotated[int, Field(ge=1)] | None = None
    """Of `knn`: how many neighbours vote. Of `label_propagation`: how many an item is joined to."""
    penalty: float | None = None
    """Of `ridge` and `logistic`: how much weights cost."""
    least_cosine: float | None = None
    """Of `keywords`: documents within this cosine of a class count."""
    fewest: Annotated[int, Field(ge=1)] | None = None
    """Of `keywords`: so many documents count however far they are."""
    most: Annotated[int, Field(ge=1)] | None = None
    """Of `keywords`: no more documents count."""
    share: float | None = None
    """Of `pseudo_labels`: of the items, this share is taken by the last round."""
    rounds: Annotated[int, Field(ge=1)] | None = None
    """Of `pseudo_labels`."""
    spread: float | None = None
    """Of `label_propagation`: how far labels reach, below 1."""
    item_weight: float | None = None
    """Of `pseudo_labels` and `label_propagation`: what the items weigh beside a class's name, which weighs 1."""
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
        if self.labels is not None and self.collection is None:
            raise ValueError("labels are moved by a collection's items: name the collection")
        fixed = [name for name in ("method", "name", *OPTIONS) if name in self.model_fields_set]
        if self.classifier_id is not None and fixed:
            raise ValueError(f"{fixed[0]} was fixed when the classifier was made: leave it out")
        return self

    def plan(self, reader: InputReader) -> TrainingPlan:
        """Read how to learn; errors name `labels[position]`."""
        given = {name: getattr(self, name) for name in OPTIONS}
        return TrainingPlan(
            method=self.method,
            name=self.name,
            options={name: value for name, value in given.items() if value is not None},
            classes=None if self.labels is None else Classes(class_sources(self.labels, reader)),
            templates=self.templates,
            named_templates=self.template_set,
        )

    def examples(self, reader: InputReader) -> tuple[list[Source], list[str]]:
        """Read the inputs and their labels; errors name `input[position]`."""
        examples = self.input or []
        reader.check_count(len(examples))
        sources = [one.source(reader, f"input[{position}].") for position, one in enumerate(examples)]
        return sources, [one.label for one in examples]


class TrainResponse(BaseModel):
    classifier_id: str
    num_samples: int
    state: Literal["training", "ready", "failed", "stale"]
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


class RefinementFigures(BaseModel):
    """Accuracies on the items whose labels are known and had no part in the refinement."""

    judged_items: int
    accuracy_before: float
    accuracy_after: float


class ClassifierEntry(BaseModel):
    """A classifier; `used_number` and `used_at` are since the server started."""

    classifier_id: str
    state: Literal["training", "ready", "failed", "stale", "unavailable"]
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
    collection: str | None = None
    priors: Mapping[str, float] | None = None
    refinement: RefinementFigures | None = None
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
            collection=record.collection,
            priors=record.priors,
            refinement=RefinementFigures.model_validate(record.figures) if record.figures else None,
            progress=ProgressEntry(**vars(progress)) if progress else None,
        )


class PriorsRequest(RequestBody):
    """Unlabelled inputs to estimate from, or numbers that are known: one a label, of any sum."""

    input: AnyInputs | None = None
    priors: dict[Text, float] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        check_exactly_one(self, ("input", "priors"))
        return self


class PriorsResponse(BaseModel):
    """How frequent the classes are from now on; `inputs` is how many that was estimated from."""

    classifier_id: str
    priors: Mapping[str, float]
    inputs: int
    usage: ClassifyUsage
