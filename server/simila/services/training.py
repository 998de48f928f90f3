"""Use case: learn classes from labelled examples, at once or in the background."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from simila.classifiers.labels import FEWEST_CLASSES
from simila.classifiers.prototypes import Prototypes
from simila.domain.errors import (
    CannotServe,
    CollectionUnavailable,
    Conflict,
    InvalidInput,
    InvalidLabels,
    LimitExceeded,
    NoExamples,
    UnknownCollection,
)
from simila.domain.inputs import Source
from simila.domain.vectors import Float32
from simila.engine.model_pool import ModelPool
from simila.index.catalogue import Catalogue
from simila.index.collection import Collection
from simila.index.filters import compile_filter
from simila.services.classifiers import ClassifierService, ClassifierState, check_not_stale
from simila.services.label_scorers import LabelScorers
from simila.services.label_sets import Classes, LabelSet
from simila.services.learned_models import Options, complete_options, learned, sum_arrays, with_examples
from simila.services.prompt_checks import check_length
from simila.services.refinement import REFINEMENTS, Start, refined
from simila.services.source_vectors import SourceVectors, vectors_of
from simila.services.training_items import TrainingItems, read_items
from simila.services.training_jobs import SEQUENCES, Report, TrainingJobs
from simila.services.zero_shot import chosen_templates, own_activation
from simila.storage.classifier_files import Array, ClassifierRecord, Method
from simila.storage.where import Where

IMMEDIATE: tuple[Method, ...] = ("nearest_mean", "knn")
MOST_VALUES = 2**28  # of the examples of one training: a gigabyte of float32

Fitted = tuple[ClassifierRecord, Mapping[str, Array]]


@dataclass(frozen=True)
class TrainingPlan:
    """How a new classifier is to learn; a refinement of a collection may start from `classes`, in these templates."""

    method: Method = "nearest_mean"
    name: str | None = None
    options: Options | None = None
    classes: Classes | None = None
    templates: Sequence[str] | None = None
    named_templates: str | None = None


@dataclass(frozen=True)
class Trained:
    """What a request to train has led to; a classifier that is still `training` has its samples counted already."""

    state: ClassifierState
    num_samples: int
    tokens: int


class TrainingService:
    """Trains classifiers. Means and neighbours are there at once; probes are fitted in the background, one by one."""

    def __init__(
        self,
        pool: ModelPool,
        catalogue: Catalogue,
        classifiers: ClassifierService,
        scorers: LabelScorers,
        jobs: TrainingJobs,
        *,
        label_characters: int,
    ) -> None:
        self._pool = pool
        self._source_vectors = SourceVectors(pool)
        self._catalogue = catalogue
        self._classifiers = classifiers
        self._scorers = scorers
        self._jobs = jobs
        self._label_characters = label_characters

    async def train(
        self, encoder_name: str, sources: Sequence[Source], labels: Sequence[str], plan: TrainingPlan
    ) -> Trained:
        """Make a classifier of labelled inputs.

        Raises:
            UnknownEncoder, NotReady: see `ModelPool.get`.
            InvalidLabels: fewer than two labels, or a blank one.
            InvalidInput, LimitExceeded, …: the method, an option or an input is at fault.

        """
        if plan.method in REFINEMENTS:
            raise InvalidInput(f"{plan.method} learns from a collection: give one, not input", param="method")
        encoder = self._pool.get(encoder_name)
        options = complete_options(plan.method, plan.options or {})
        self._check_labels(labels, fewest=2)
        manifest = encoder.manifest
        names = [f"input[{position}]" for position in range(len(sources))]
        vectors, tokens = await vectors_of(lambda: encoder, manifest.dimension, sources, names)
        record = _new_record(plan, options, manifest.name, manifest.fingerprint, manifest.dimension)
        if plan.method in IMMEDIATE:
            state = await self._classifiers.keep(*await asyncio.to_thread(_fitted, record, vectors, labels))
        else:
            state = await self._classifiers.keep(record, {})
            self._jobs.begin(record, len(labels), lambda report: _reported(report, record, vectors, labels))
        return Trained(state, len(labels), tokens)

    async def train_on(self, name: str, filter_: Any, plan: TrainingPlan) -> Trained:
        """Make a classifier of the items of a collection that match, in the background.

        A method of `REFINEMENTS` learns from all of them and starts from the classes of the plan; others learn from
        those that have labels.

        Raises:
            UnknownCollection, CollectionUnavailable: see `Catalogue.get`.
            InvalidInput: the filter or an option is malformed, or not of the method.
            InvalidLabels, CannotServe, NotReady, …: see `LabelScorers.scorer`.
            NoExamples: no item matches that the method can learn from, or all labels are the same.
            LimitExceeded: there are more examples than fit into memory.

        """
        collection = self._collection(name)
        options = complete_options(plan.method, plan.options or {})
        start = await self._start(collection, plan)
        only_labelled = plan.method not in REFINEMENTS
        conditions = [filter_ or {}, *([{"$label": {"$exists": True}}] if only_labelled else [])]
        where = compile_filter({"$and": conditions})
        sequences = await asyncio.to_thread(collection.reader.matching, where)
        _check_count(collection, sequences.size, only_labelled=only_labelled)
        if start is None:
            await asyncio.to_thread(_check_classes, collection, where)
        spec = collection.spec
        record = _new_record(plan, options, spec.encoder, spec.fingerprint, spec.dimension)
        record = replace(record, collection=name, store_id=spec.store_id)
        state = await self._classifiers.keep(record, {})

        def fit(report: Report) -> Fitted:
            reading = partial(report, "reading")
            items = read_items(collection, sequences, only_labelled=only_labelled, report=reading)
            report("fitting", len(items.labels))
            return _fitted_to_items(record, items, start)

        self._jobs.begin(record, int(sequences.size), fit)
        return Trained(state, int(sequences.size), 0)

    async def add(self, classifier_id: str, sources: Sequence[Source], labels: Sequence[str]) -> Trained:
        """Add examples to a nearest-mean classifier; labels may be new.

        Raises:
            UnknownClassifier, ClassifierUnavailable: see `ClassifierService.get`.
            CannotServe: the classifier is of another method, or its encoder is not served.
            StaleClassifier: something that it learned from was forgotten.
            Conflict: it is still being trained, or its encoder has changed.
            InvalidLabels, InvalidInput, LimitExceeded: a label or an input is at fault.

        """
        record = self._classifiers.get(classifier_id).record
        if record.method != "nearest_mean":
            message = f"classifier {classifier_id} is of method {record.method}; only nearest_mean learns more examples"
            raise CannotServe(message, param="classifier_id")
        self._check_labels(labels, fewest=1)
        vectors, tokens = await self._classifiers.vectors(record, sources)
        async with self._classifiers.changing:
            record = self._classifiers.get(classifier_id).record
            check_not_stale(record)
            if record.state != "ready":
                raise Conflict(f"classifier {classifier_id} is not trained: {record.state}", param="classifier_id")
            arrays = await self._classifiers.arrays(record)
            sums = await asyncio.to_thread(with_examples, arrays, record.labels, vectors, labels)
            changed = replace(
                record,
                labels=tuple(sums.counts),
                num_samples=record.num_samples + len(labels),
                updated_at=datetime.now(UTC).isoformat(),
                updated_number=record.updated_number + 1,
                priors=record.priors if record.priors and set(record.priors) == set(sums.counts) else None,
            )
            kept = {name: array for name, array in arrays.items() if name == SEQUENCES}
            state = await self._classifiers.keep(changed, {**sum_arrays(sums), **kept})
        return Trained(state, changed.num_samples, tokens)

    async def delete(self, classifier_id: str) -> None:
        """Delete a classifier; one that is still being trained is not kept when it is done.

        Raises:
            UnknownClassifier, StorageFailed: see `ClassifierService.delete`.

        """
        async with self._classifiers.changing:
            await self._classifiers.delete(classifier_id)

    def _collection(self, name: str) -> Collection:
        try:
            return self._catalogue.get(name)
        except (UnknownCollection, CollectionUnavailable) as error:  # elsewhere a path names it, here a field
            raise type(error)(error.message, param="collection") from error

    def _check_labels(self, labels: Sequence[str], *, fewest: int) -> None:
        if (count := len(set(labels))) < fewest:
            raise InvalidLabels(f"training needs examples of at least {fewest} labels, got {count}", param="input")
        for position, label in enumerate(labels):
            name = f"input[{position}].label"
            if not label.strip():
                raise InvalidLabels(f"{name}: the label is blank", param=name)
            check_length(label, name, self._label_characters)

    async def _start(self, collection: Collection, plan: TrainingPlan) -> Start | None:
        """The prototypes that a refinement starts from; None where it starts from the labelled items."""
        if plan.classes is None:
            _check_no_classes(plan)
            return None
        if plan.method not in REFINEMENTS:
            message = f"{plan.method} learns the labels of the items; labels are of {', '.join(REFINEMENTS)}"
            raise InvalidInput(message, param="labels")
        manifest = self._source_vectors.encoder(collection.spec).manifest
        templates = chosen_templates(manifest, plan.templates, plan.named_templates) or ("{}",)
        label_set = LabelSet(manifest, Classes(plan.classes), templates)
        await self._scorers.check(label_set)
        scorer = await self._scorers.scorer(label_set)
        return Start(Prototypes(scorer.labels, scorer.weights), own_activation(manifest))


def _check_no_classes(plan: TrainingPlan) -> None:
    if plan.method == "keywords":
        raise InvalidInput("keywords needs the phrases of its classes: give labels", param="labels")
    if plan.templates is not None or plan.named_templates is not None:
        raise InvalidInput("templates are of labels: give them too", param="labels")


def _new_record(
    plan: TrainingPlan, options: Options, encoder: str, fingerprint: str, dimension: int
) -> ClassifierRecord:
    now = datetime.now(UTC).isoformat()
    return ClassifierRecord(
        id=str(uuid.uuid4()),
        name=plan.name,
        method=plan.method,
        encoder=encoder,
        fingerprint=fingerprint,
        dimension=dimension,
        created_at=now,
        updated_at=now,
        state="training",
        options=options,
    )


def _check_count(collection: Collection, items: int, *, only_labelled: bool) -> None:
    spec = collection.spec
    if not items:
        what = "labelled items" if only_labelled else "items that match"
        raise NoExamples(f"collection {spec.name} has no {what} to learn classes from", param="collection")
    if items * spec.dimension > MOST_VALUES:
        raise LimitExceeded(
            f"{items} items of {spec.dimension} dimensions are more than a training holds in memory"
            f" ({MOST_VALUES // spec.dimension}); no setting moves this limit, but a filter makes them fewer",
            param="filter",
        )


def _check_classes(collection: Collection, where: Where) -> None:
    labels = len(collection.reader.label_counts(where))
    if labels < FEWEST_CLASSES:
        message = f"the items of collection {collection.spec.name} that match have {labels} labels"
        raise NoExamples(f"{message}; training needs at least {FEWEST_CLASSES}", param="collection")


def _reported(report: Report, record: ClassifierRecord, vectors: Float32, labels: Sequence[str]) -> Fitted:
    report("fitting", len(labels))
    return _fitted(record, vectors, labels)


def _fitted(record: ClassifierRecord, vectors: Float32, labels: Sequence[str]) -> Fitted:
    classes, arrays = learned(record.method, vectors, labels, record.options)
    return replace(record, state="ready", labels=classes, num_samples=len(labels)), arrays


def _fitted_to_items(record: ClassifierRecord, items: TrainingItems, start: Start | None) -> Fitted:
    if record.method in REFINEMENTS:
        result = refined(record.method, items.vectors, items.labels, start, record.options)
        figures = asdict(result.figures) if result.figures else None
        fitted = replace(record, state="ready", labels=result.labels, num_samples=len(items.labels), figures=figures)
        arrays = result.arrays
    else:
        fitted, arrays = _fitted(record, items.vectors, [label for label in items.labels if label is not None])
    return fitted, {**arrays, SEQUENCES: items.sequences}
