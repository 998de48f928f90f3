"""`/v1/collections/{name}/classify`, `/forget`, `/evaluate`: what labelled items teach."""

from math import isnan
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, FiniteFloat, model_validator

from simila.api.schemas.base import NonEmptyList, RequestBody, Text
from simila.api.schemas.classification import Probability, RulesBody
from simila.api.schemas.inputs import SourceInputs
from simila.api.schemas.one_source import check_exactly_one
from simila.api.schemas.search import Filter
from simila.classifiers.nearest_neighbours import MOST_NEIGHBOURS
from simila.domain.inputs import View
from simila.services.evaluation import EvaluationReport, HowToEvaluate
from simila.services.example_classification import ByExamples
from simila.services.example_methods import MethodName
from simila.services.forgetting import Receipt, ToForget

Share = Annotated[float, Field(gt=0, lt=1)]


class MethodBody(RequestBody):
    """How labelled items classify: by the mean of each class, by the nearest items, or by means and label names."""

    method: MethodName = "nearest_mean"
    k: Annotated[int, Field(ge=1, le=MOST_NEIGHBOURS)] | None = None
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

    threshold: FiniteFloat | None = None
    false_rejection_rate: Share | None = None

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        check_exactly_one(self, ("threshold", "false_rejection_rate"))
        return self


class MultiLabelOfExamples(RequestBody):
    """An input has every label whose probability reaches a threshold: one for all, one for each, or `fitted`.

    Fitted ones are those under which the collection's own items, each judged by the others, have the largest F1.
    """

    threshold: Probability | None = None
    thresholds: dict[Text, Probability] | None = None
    fitted: Literal[True] | None = None

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        check_exactly_one(self, ("threshold", "thresholds", "fitted"))
        return self

    @property
    def values(self) -> float | dict[str, float] | None:
        return self.thresholds if self.threshold is None else self.threshold


class CollectionClassifyRequest(MethodBody, RulesBody):
    input: SourceInputs
    filter: Filter | None = None
    """knn: only items that match vote."""
    views: Annotated[list[View], Field(default_factory=list, max_length=9)]
    """Images: each is seen in all of these, and their directions are averaged."""
    # More ways to say it than without items.
    multi_label: MultiLabelOfExamples | None = None  # type: ignore[assignment]
    unknown: UnknownToExamples | None = None  # type: ignore[assignment]


class EvaluateRequest(MethodBody):
    """Each item is judged by all others, or a `held_out` share of each class by the rest, drawn by `seed`."""

    held_out: Share | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    hold_out_classes: NonEmptyList[Text] | None = None
    """Classes that are not learned: how well are their items told from those of the others?"""

    def how(self) -> HowToEvaluate:
        return HowToEvaluate(self.method_options(), self.held_out, self.seed, tuple(self.hold_out_classes or ()))


class ClassFigures(BaseModel):
    """How one class did; `support` is how many of its items were judged."""

    label: str
    support: int
    precision: float
    recall: float
    f1: float
    best_threshold: float | None
    """Of the class's probability: under this its F1 would be largest if inputs could have several labels."""


class CalibrationBin(BaseModel):
    """Items by the probability of their best class; nothing is said of a bin without any."""

    count: int
    confidence: float | None
    accuracy: float | None


class CalibrationFigures(BaseModel):
    """`error` is the expected calibration error, of bins of equal width."""

    error: float
    bins: list[CalibrationBin]


class OpenSetFigures(BaseModel):
    """`auroc`: the chance that an item of a known class is more familiar than one of a class that was held out."""

    auroc: float
    unknown_items: int


class EvaluateResponse(BaseModel):
    """`confusion` counts by true class (row) and predicted class (column), in the order of `classes`."""

    method: MethodName
    protocol: Literal["leave_one_out", "held_out"]
    items: int
    accuracy: float
    macro_f1: float
    classes: list[ClassFigures]
    confusion: list[list[int]]
    calibration: CalibrationFigures
    open_set: OpenSetFigures | None

    @classmethod
    def of(cls, report: EvaluationReport) -> Self:
        figures, calibration, open_set = report.evaluation, report.calibration, report.open_set
        columns = (figures.support, figures.precision, figures.recall, figures.f1, report.thresholds)
        per_class = zip(report.labels, *(column.tolist() for column in columns), strict=True)
        bins = (calibration.counts, calibration.confidences, calibration.accuracies)
        return cls(
            method=report.how.by.method,
            protocol="leave_one_out" if report.how.held_out is None else "held_out",
            items=int(figures.support.sum()),
            accuracy=figures.accuracy,
            macro_f1=figures.macro_f1,
            classes=[
                ClassFigures(
                    label=label,
                    support=support,
                    precision=precision,
                    recall=recall,
                    f1=f1,
                    best_threshold=None if isnan(threshold) else threshold,
                )
                for label, support, precision, recall, f1, threshold in per_class
            ],
            confusion=figures.confusion.tolist(),
            calibration=CalibrationFigures(
                error=calibration.error,
                bins=[
                    CalibrationBin(count=n, confidence=confidence if n else None, accuracy=accuracy if n else None)
                    for n, confidence, accuracy in zip(*(column.tolist() for column in bins), strict=True)
                ],
            ),
            open_set=open_set and OpenSetFigures(auroc=open_set.auroc, unknown_items=open_set.unknown_items),
        )


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
    what is forgotten. `stale_classifiers` had learned from it, and are erased. `unreadable_classifiers` have damaged
    records: nobody knows what they learned from, and `DELETE /v1/classifiers/{id}` erases them.
    """

    forgotten: int
    ids: list[str]
    classes: dict[str, int]
    remaining: dict[str, int]
    verified: bool
    stale_classifiers: list[str]
    unreadable_classifiers: list[str]

    @classmethod
    def of(cls, receipt: Receipt) -> Self:
        return cls(
            forgotten=receipt.items,
            ids=list(receipt.ids),
            classes=dict(receipt.classes),
            remaining=dict(receipt.remaining),
            verified=receipt.verified,
            stale_classifiers=list(receipt.stale_classifiers),
            unreadable_classifiers=list(receipt.unreadable_classifiers),
        )
