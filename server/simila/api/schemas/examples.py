"""`/v1/collections/{name}/classify`, `/forget`, `/evaluate`: what labelled items teach."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, model_validator

from simila.api.schemas.base import NonEmptyList, RequestBody, Text
from simila.api.schemas.classification import RulesBody
from simila.api.schemas.inputs import SourceInputs
from simila.api.schemas.one_source import check_exactly_one
from simila.api.schemas.search import Filter
from simila.services.example_classification import ByExamples
from simila.services.example_methods import MethodName
from simila.services.forgetting import Receipt, ToForget

Share = Annotated[float, Field(gt=0, lt=1)]


class MethodBody(RequestBody):
    """How labelled items classify: by the mean of each class, by the nearest items, or by means and label names."""

    method: MethodName = "nearest_mean"
    k: Annotated[int, Field(ge=1)] | None = None
    """knn: how many neighbours vote; 10 by default, or as many as there are."""
    weight: Annotated[float, Field(ge=0, le=1)] | None = None
    """blend: of the means; by default it grows with the number of a class's items."""
    templates: NonEmptyList[Text] | None = None
    """blend: prompts with `{}` where the label goes; by default the encoder's own."""
    template_set: Text | None = None
    """blend: the name of a set of prompts, such as `photograph`."""
    calibrated: bool = False
    """Fit the temperature of the probabilities to the items, each judged as if it were not there."""

    def method_options(self, filter: Any = None) -> ByExamples:  # noqa: A002 - the wire's name
        return ByExamples(
            method=self.method,
            k=self.k,
            filter=filter,
            weight=self.weight,
            templates=None if self.templates is None else tuple(self.templates),
            template_set=self.template_set,
            calibrated=self.calibrated,
        )


class UnknownToExamples(RequestBody):
    """Reject inputs of less `familiarity` than a threshold, or than all but so many of the collection's own items."""

    threshold: float | None = None
    false_rejection_rate: Share | None = None

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        check_exactly_one(self, ("threshold", "false_rejection_rate"))
        return self


class CollectionClassifyRequest(MethodBody, RulesBody):
    input: SourceInputs
    filter: Filter | None = None
    """knn: only items that match vote."""
    unknown: UnknownToExamples | None = None  # type: ignore[assignment] # more ways to say it than without items


class ForgetRequest(RequestBody):
    """Exactly one of `ids`, `label` and `filter`, which must say something."""

    ids: NonEmptyList[Text] | None = None
    label: Text | None = None
    filter: Filter | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        check_exactly_one(self, ("ids", "label", "filter"))
        return self

    def to_forget(self) -> ToForget:
        return ToForget(self.ids, self.label, self.filter)


class ForgetResponse(BaseModel):
    """The receipt. `ids` are the first 1,000; `remaining` counts the classes that lost items.

    `verified`: the classes' means agree with those made afresh of what is left, and the files were written anew without
    what is forgotten.
    """

    forgotten: int
    ids: list[str]
    classes: dict[str, int]
    remaining: dict[str, int]
    verified: bool

    @classmethod
    def of(cls, receipt: Receipt) -> Self:
        return cls(
            forgotten=receipt.items,
            ids=list(receipt.ids),
            classes=dict(receipt.classes),
            remaining=dict(receipt.remaining),
            verified=receipt.verified,
        )
