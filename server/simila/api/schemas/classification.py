"""`POST /v1/classify`: Jina's shape, with more sources of classes and more rules of decision."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Discriminator, Field, FiniteFloat, PrivateAttr, Tag, model_validator

from simila.api.schemas.base import NonEmptyList, RequestBody, Text
from simila.api.schemas.inputs import AnyInputs, InputReader, Vector
from simila.api.schemas.one_source import check_exactly_one
from simila.classifiers.label_metric import label_metric
from simila.classifiers.label_tree import label_tree
from simila.domain.inputs import View
from simila.services.decisions import DecisionRules
from simila.services.label_sets import Classes, ClassSource, KeywordClass, VectorClass

# A geometry of labels is a square matrix, and is looked at while others wait.
MOST_LABELS_OF_A_GEOMETRY = 1024

# As many labels as Jina's own service takes at most. To write 100,000 predictions takes longer than to find them.
DEFAULT_TOP_K = 256

TopK = Annotated[int, Field(ge=1)]
Probability = Annotated[float, Field(ge=0, le=1)]


class LabelByPhrases(RequestBody):
    """A class that several phrases describe."""

    label: Text
    phrases: NonEmptyList[Text]


class LabelByVector(RequestBody):
    """A class whose prototype is given: of the encoder's dimension, of any length."""

    label: Text
    vector: Vector


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "as name"
    keys = value if isinstance(value, dict) else type(value).model_fields if isinstance(value, RequestBody) else ()
    return "as vector" if "vector" in keys else "as phrases" if keys else "as name"


Label = Annotated[
    Annotated[Text, Tag("as name")]
    | Annotated[LabelByPhrases, Tag("as phrases")]
    | Annotated[LabelByVector, Tag("as vector")],
    Discriminator(_kind),
]

Priors = Annotated[
    Annotated[dict[Text, float], Tag("as numbers")] | Annotated[Literal["estimate"], Tag("as word")],
    Discriminator(lambda value: "as word" if isinstance(value, str) else "as numbers"),
]


class MultiLabel(RequestBody):
    """An input has every label whose probability reaches a threshold: one for all, or one for each."""

    threshold: Probability | None = None
    thresholds: dict[Text, Probability] | None = None

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        check_exactly_one(self, ("threshold", "thresholds"))
        return self

    @property
    def values(self) -> float | dict[str, float] | None:
        return self.thresholds if self.threshold is None else self.threshold


class Unknown(RequestBody):
    """Inputs of less `familiarity` than this are rejected; an answer to any threshold says what inputs have."""

    threshold: FiniteFloat

    @model_validator(mode="before")
    @classmethod
    def _has_no_rate(cls, value: Any) -> Any:
        if isinstance(value, dict) and "false_rejection_rate" in value:
            raise ValueError("a false_rejection_rate is of a collection's items: classify by it, or give a threshold")
        return value


class LabelMetricBody(RequestBody):
    """Distances between labels, those of the request and any others."""

    labels: Annotated[list[Text], Field(max_length=MOST_LABELS_OF_A_GEOMETRY, fail_fast=True)]
    distances: Annotated[list[list[float]], Field(max_length=MOST_LABELS_OF_A_GEOMETRY)]


class LabelTreeBody(RequestBody):
    """What each label hangs below; the root below null. The answer is the deepest label of enough `confidence`."""

    parents: Annotated[dict[Text, Text | None], Field(max_length=MOST_LABELS_OF_A_GEOMETRY)]
    confidence: Annotated[float, Field(gt=0, le=1)] = 0.5


class RulesBody(RequestBody):
    """How scores become decisions."""

    top_k: TopK | None = DEFAULT_TOP_K
    """How many classes are answered for each input, the best first; null: all."""
    multi_label: MultiLabel | None = None
    unknown: Unknown | None = None
    label_metric: LabelMetricBody | None = None
    """The prediction is the label of the least expected squared distance (Frechet mean), seen or unseen."""
    label_tree: LabelTreeBody | None = None
    priors: Priors | None = None
    """How frequent the classes are among the inputs: given, or estimated from the inputs of this request."""

    def rules(self) -> DecisionRules:
        """Read the rules.

        Raises:
            InvalidInput, InvalidLabels: the metric or the tree is none.

        """
        metric, tree = self.label_metric, self.label_tree
        return DecisionRules(
            top_k=self.top_k,
            thresholds=self.multi_label.values if self.multi_label else None,
            unknown_below=self.unknown.threshold if self.unknown else None,
            priors=self.priors,
            metric=label_metric(metric.labels, metric.distances) if metric else None,
            tree=label_tree(tree.parents) if tree else None,
            confidence=tree.confidence if tree else 1.0,
        )


class ClassifyRequest(RulesBody):
    """By the `labels` of this request under `model`, or by a trained classifier."""

    input: AnyInputs
    classifier_id: Text | None = None
    model: Text | None = None
    labels: Annotated[list[Label], Field(fail_fast=True)] | None = None
    templates: Annotated[list[Text], Field(fail_fast=True)] | None = None
    """Prompts with `{}` where the label goes; by default the encoder's own."""
    template_set: Text | None = None
    """The name of a set of prompts, such as `photograph`."""
    views: Annotated[list[View], Field(default_factory=list, max_length=9)]
    """Each image is seen so, and the average counts."""
    _classes: Classes | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _says_by_what(self) -> Self:
        check_exactly_one(self, ("classifier_id", "labels"))
        if self.classifier_id is not None:
            if odd := [name for name in ("model", "templates", "template_set") if getattr(self, name) is not None]:
                raise ValueError(f"a classifier has its own encoder and classes: leave {odd[0]} out")
        elif self.model is None:
            raise ValueError("labels need a model to read them with")
        return self

    def recognise(self, classes: Classes) -> None:
        """Take these as what `labels` says."""
        self._classes = classes

    def classes(self, reader: InputReader) -> Classes:
        return self._classes or Classes(class_sources(self.labels or [], reader))


def class_sources(labels: Sequence[str | LabelByPhrases | LabelByVector], reader: InputReader) -> list[ClassSource]:
    """Read the classes of a request; errors name `labels[position]`."""
    return [_class_source(one, position, reader) for position, one in enumerate(labels)]


def _class_source(one: str | LabelByPhrases | LabelByVector, position: int, reader: InputReader) -> ClassSource:
    if isinstance(one, str):
        return one
    if isinstance(one, LabelByPhrases):
        return KeywordClass(one.label, tuple(one.phrases))
    return VectorClass(one.label, reader.vector(one.vector, f"labels[{position}].vector"))


class PredictionEntry(BaseModel):
    """A class: its probability as `score`, and the cosine of its prototype and the input."""

    label: str
    score: float
    cosine: float


class ClassificationEntry(BaseModel):
    """An input's decision. The fields with a default are there where the request asked for their rule."""

    object: Literal["classification"] = "classification"
    index: int
    prediction: str | None
    score: float
    predictions: list[PredictionEntry]
    labels: list[str] | None = None
    rejected: bool | None = None
    familiarity: float | None = None
    expected_squared_distance: float | None = None


class ClassifyUsage(BaseModel):
    total_tokens: int


class ClassifyResponse(BaseModel):
    usage: ClassifyUsage
    data: list[ClassificationEntry]
    priors: dict[str, float] | None = None
