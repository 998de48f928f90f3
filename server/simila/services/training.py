"""Use case: learn classes from labelled examples, at once or in the background."""

import asyncio
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from simila.domain.errors import CannotServe, Conflict, InvalidLabels, LimitExceeded, NoExamples, SimilaError
from simila.domain.inputs import Source
from simila.domain.vectors import Float32, Int64
from simila.engine.model_pool import ModelPool
from simila.index.catalogue import Catalogue
from simila.index.collection import Collection
from simila.index.filters import compile_filter
from simila.services.classifiers import ClassifierService, ClassifierState
from simila.services.learned_models import Options, complete_options, learned, sum_arrays, with_examples
from simila.services.prompt_checks import check_length
from simila.services.source_vectors import vectors_of
from simila.storage.classifier_files import Array, ClassifierRecord, Method

logger = logging.getLogger("simila.services")
IMMEDIATE: tuple[Method, ...] = ("nearest_mean", "knn")
MOST_VALUES = 2**28  # of the examples of one training: a gigabyte of float32
_ROWS_AT_A_TIME = 8192

Examples = tuple[Float32, Sequence[str]]  # [n, d], unit length, and a label each


@dataclass(frozen=True)
class TrainingPlan:
    """How a new classifier is to learn."""

    method: Method = "nearest_mean"
    name: str | None = None
    options: Options | None = None


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training in the background is: reading examples, or fitting to all of them."""

    step: str
    samples_done: int
    samples_total: int


@dataclass(frozen=True)
class Trained:
    """What a request to train has led to; a classifier that is still `training` has its samples counted already."""

    state: ClassifierState
    num_samples: int
    tokens: int


class TrainingService:
    """Trains classifiers. Means and neighbours are there at once; probes are fitted in the background, one by one."""

    def __init__(
        self, pool: ModelPool, catalogue: Catalogue, classifiers: ClassifierService, *, label_characters: int
    ) -> None:
        self._pool = pool
        self._catalogue = catalogue
        self._classifiers = classifiers
        self._label_characters = label_characters
        self._changes = asyncio.Lock()
        self._fits = asyncio.Lock()
        self._progress: dict[str, TrainingProgress] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def progress(self, classifier_id: str) -> TrainingProgress | None:
        return self._progress.get(classifier_id)

    async def train(
        self, encoder_name: str, sources: Sequence[Source], labels: Sequence[str], plan: TrainingPlan
    ) -> Trained:
        """Make a classifier of labelled inputs.

        Raises:
            UnknownEncoder, NotReady: see `ModelPool.get`.
            InvalidLabels: fewer than two labels, or a blank one.
            InvalidInput, LimitExceeded, …: an option or an input is at fault.

        """
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
            self._begin(record, len(labels), lambda: (vectors, labels))
        return Trained(state, len(labels), tokens)

    async def train_on(self, name: str, filter_: Any, plan: TrainingPlan) -> Trained:
        """Make a classifier of the labelled items of a collection that match, in the background.

        Raises:
            UnknownCollection, CollectionUnavailable: see `Catalogue.get`.
            InvalidInput: the filter or an option is malformed.
            NoExamples: no item that matches has a label.
            LimitExceeded: there are more examples than fit into memory.

        """
        collection = self._catalogue.get(name)
        options = complete_options(plan.method, plan.options or {})
        where = compile_filter({"$and": [filter_ or {}, {"$label": {"$exists": True}}]})
        sequences = await asyncio.to_thread(collection.reader.matching, where)
        if not sequences.size:
            raise NoExamples(f"collection {name} has no labelled items to learn classes from", param="collection")
        spec = collection.spec
        if sequences.size * spec.dimension > MOST_VALUES:
            raise LimitExceeded(
                f"{sequences.size} items of {spec.dimension} dimensions are more than a training holds in memory"
                f" ({MOST_VALUES // spec.dimension}); no setting moves this limit, but a filter makes them fewer",
                param="filter",
            )
        record = _new_record(plan, options, spec.encoder, spec.fingerprint, spec.dimension)
        state = await self._classifiers.keep(record, {})
        self._begin(record, sequences.size, lambda: self._read(record.id, collection, sequences))
        return Trained(state, int(sequences.size), 0)

    async def add(self, classifier_id: str, sources: Sequence[Source], labels: Sequence[str]) -> Trained:
        """Add examples to a nearest-mean classifier; labels may be new.

        Raises:
            UnknownClassifier, ClassifierUnavailable: see `ClassifierService.get`.
            CannotServe: the classifier is of another method, or its encoder is not served.
            Conflict: it is still being trained, or its encoder has changed.
            InvalidLabels, InvalidInput, LimitExceeded: a label or an input is at fault.

        """
        record = self._classifiers.get(classifier_id).record
        if record.method != "nearest_mean":
            message = f"classifier {classifier_id} is of method {record.method}; only nearest_mean learns more examples"
            raise CannotServe(message, param="classifier_id")
        self._check_labels(labels, fewest=1)
        vectors, tokens = await self._classifiers.vectors(record, sources)
        async with self._changes:
            record = self._classifiers.get(classifier_id).record
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
            )
            state = await self._classifiers.keep(changed, sum_arrays(sums))
        return Trained(state, changed.num_samples, tokens)

    async def delete(self, classifier_id: str) -> None:
        """Delete a classifier; one that is still being trained is not kept when it is done.

        Raises:
            UnknownClassifier, StorageFailed: see `ClassifierService.delete`.

        """
        async with self._changes:
            await self._classifiers.delete(classifier_id)

    async def close(self) -> None:
        """End what is under way; a classifier that was being trained is `failed` after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _check_labels(self, labels: Sequence[str], *, fewest: int) -> None:
        if (count := len(set(labels))) < fewest:
            raise InvalidLabels(f"training needs examples of at least {fewest} labels, got {count}", param="input")
        for position, label in enumerate(labels):
            name = f"input[{position}].label"
            if not label.strip():
                raise InvalidLabels(f"{name}: the label is blank", param=name)
            check_length(label, name, self._label_characters)

    def _begin(self, record: ClassifierRecord, total: int, examples: Callable[[], Examples]) -> None:
        self._progress[record.id] = TrainingProgress("waiting", 0, total)
        task = asyncio.create_task(self._run(record, examples))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, record: ClassifierRecord, examples: Callable[[], Examples]) -> None:
        try:
            async with self._fits:
                vectors, labels = await asyncio.to_thread(examples)
                self._progress[record.id] = TrainingProgress("fitting", len(labels), len(labels))
                await self._replace(*await asyncio.to_thread(_fitted, record, vectors, labels))
        except SimilaError as error:
            await self._give_up(record, error.message)
        except Exception:
            logger.exception("classifier %s could not be trained", record.id)
            await self._give_up(record, "the training failed; the server's log says why")
        finally:
            self._progress.pop(record.id, None)

    async def _give_up(self, record: ClassifierRecord, reason: str) -> None:
        logger.warning("classifier %s could not be trained: %s", record.id, reason)
        await self._replace(replace(record, state="failed", error=reason), {})

    async def _replace(self, record: ClassifierRecord, arrays: Mapping[str, Array]) -> None:
        """Keep what came of a training, unless the classifier was deleted meanwhile."""
        async with self._changes:
            if record.id in self._classifiers.all():
                await self._classifiers.keep(record, arrays)

    def _read(self, classifier_id: str, collection: Collection, sequences: Int64) -> Examples:
        """The vectors `float32 [n, d], unit length` and labels of items, less those that are gone by now."""
        parts: list[Float32] = []
        labels: list[str] = []
        with collection.reader.snapshot() as reader:
            for start in range(0, sequences.size, _ROWS_AT_A_TIME):
                found, vectors = reader.vectors(sequences[start : start + _ROWS_AT_A_TIME])
                rows = reader.by_sequence(found)
                label_of = {sequence: row.label for sequence, row in rows.items() if row.label is not None}
                parts.append(vectors[[sequence in label_of for sequence in found.tolist()]])
                labels += [label_of[sequence] for sequence in found.tolist() if sequence in label_of]
                self._progress[classifier_id] = TrainingProgress("reading", len(labels), int(sequences.size))
        if not labels:
            raise NoExamples(f"collection {collection.spec.name} has no labelled items to learn classes from any more")
        return np.concatenate(parts), labels


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


def _fitted(
    record: ClassifierRecord, vectors: Float32, labels: Sequence[str]
) -> tuple[ClassifierRecord, dict[str, Array]]:
    classes, arrays = learned(record.method, vectors, labels, record.options)
    return replace(record, state="ready", labels=classes, num_samples=len(labels)), arrays
