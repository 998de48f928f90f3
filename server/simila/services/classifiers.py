"""Use case: classifiers that were trained: list, describe, delete, classify by one."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from simila.domain.errors import (
    CannotServe,
    ClassifierUnavailable,
    FingerprintMismatch,
    NotReady,
    StaleClassifier,
    UnknownClassifier,
    UnknownEncoder,
)
from simila.domain.inputs import Source, View
from simila.domain.vectors import Float32
from simila.engine.encoder import Encoder
from simila.engine.model_pool import ModelPool
from simila.services.class_models import ClassModel
from simila.services.decisions import DecisionRules, decide
from simila.services.image_views import check_views, vectors_in_views
from simila.services.learned_models import class_model
from simila.services.ranking import Classified, check_predictions
from simila.storage.classifier_files import Array, ClassifierFiles, ClassifierRecord

logger = logging.getLogger("simila.services")
STOPPED = "the server stopped while it was trained; train it anew"


@dataclass(frozen=True)
class ClassifierState:
    """A classifier as it stands. `used_number` and `used_at` are since the server started."""

    record: ClassifierRecord
    used_number: int = 0
    used_at: str | None = None


class ClassifierService:
    """Keeps trained classifiers; reads what they learned when they are first asked. A damaged one harms no other."""

    def __init__(self, pool: ModelPool, files: ClassifierFiles, *, most_predictions: int) -> None:
        self._pool = pool
        self._files = files
        self._most_predictions = most_predictions
        self._models: dict[str, ClassModel] = {}
        self.changing = asyncio.Lock()
        """Held by whoever reads a classifier to write it anew."""
        self._states: dict[str, ClassifierState | ClassifierUnavailable] = {
            classifier_id: self._read(classifier_id) for classifier_id in files.ids
        }

    def all(self) -> Mapping[str, ClassifierState | ClassifierUnavailable]:
        """All classifiers by id, the oldest first; those that cannot be read last, with the reason."""
        return dict(sorted(self._states.items(), key=_by_age))

    def unreadable(self) -> list[str]:
        """The ids of those whose records cannot be read, so that nobody knows what they learned from."""
        return [one for one, state in self._states.items() if isinstance(state, ClassifierUnavailable)]

    def get(self, classifier_id: str) -> ClassifierState:
        """Find a classifier.

        Raises:
            UnknownClassifier: there is none of this id.
            ClassifierUnavailable: it cannot be read.

        """
        state = self._states.get(classifier_id)
        if state is None:
            raise UnknownClassifier(f"there is no classifier '{classifier_id}'", param="classifier_id")
        if isinstance(state, ClassifierUnavailable):
            raise ClassifierUnavailable(state.message, param="classifier_id")
        return state

    def collection_of(self, classifier_id: str) -> str | None:
        """The collection that a classifier learned from, if there is such a classifier and it did."""
        state = self._states.get(classifier_id)
        return state.record.collection if isinstance(state, ClassifierState) else None

    async def classify(
        self, classifier_id: str, inputs: Sequence[Source], rules: DecisionRules, *, views: Sequence[View] = ()
    ) -> Classified:
        """Decide for each input, under the classifier's own priors if the rules name none.

        Raises:
            UnknownClassifier, ClassifierUnavailable: see `get`.
            NotReady, StaleClassifier, CannotServe: see `model`.
            CannotServe: its encoder is not served.
            FingerprintMismatch: its encoder has changed, and something is to be embedded.
            InvalidInput, LimitExceeded: see `vectors_in_views`, `DecisionRules.check`, `check_predictions`, `decide`.

        """
        record = self.get(classifier_id).record
        model = await self.model(record)
        if rules.priors is None and record.priors:
            rules = replace(rules, priors=record.priors)
        rules.check(model.labels)
        check_views(views)
        check_predictions(len(inputs), len(model.labels), rules.top_k, limit=self._most_predictions)
        vectors, tokens = await self.vectors(record, inputs, views)
        classified = await decide(model, rules, vectors, tokens)
        self._note_use(classifier_id)
        return classified

    async def vectors(
        self, record: ClassifierRecord, sources: Sequence[Source], views: Sequence[View] = ()
    ) -> tuple[Float32, int]:
        """Vectors `float32 [n, d], unit length` in the space of a classifier, and the tokens that they took."""
        return await vectors_in_views(self._encoder_of(record), record.dimension, sources, views)

    async def keep(self, record: ClassifierRecord, arrays: Mapping[str, Array]) -> ClassifierState:
        """Store a classifier, new or changed.

        Raises:
            StorageFailed: the disk refuses; nothing has changed.

        """
        kept = await asyncio.to_thread(self._files.write, record, arrays)
        self._models.pop(record.id, None)
        known = self._states.get(record.id)
        state = replace(known, record=kept) if isinstance(known, ClassifierState) else ClassifierState(kept)
        self._states[record.id] = state
        return state

    async def arrays(self, record: ClassifierRecord) -> Mapping[str, Array]:
        return await asyncio.to_thread(self._files.arrays, record)

    async def model(self, record: ClassifierRecord) -> ClassModel:
        """What a classifier learned, read when it is first asked for.

        Raises:
            NotReady: it is being trained.
            StaleClassifier: something that it learned from was forgotten.
            CannotServe: it could not be trained.
            ClassifierUnavailable: it cannot be read.

        """
        if known := self._models.get(record.id):
            return known
        if record.state == "training":
            raise NotReady(f"classifier {record.id} is being trained; send this again", param="classifier_id")
        check_not_stale(record)
        if record.state == "failed":
            message = f"classifier {record.id} could not be trained: {record.error}"
            raise CannotServe(message, param="classifier_id")
        model = class_model(record, await self.arrays(record))
        if self.get(record.id).record is record:
            self._models[record.id] = model
        return model

    async def delete(self, classifier_id: str) -> None:
        """Delete a classifier, readable or not.

        Raises:
            UnknownClassifier: there is none of this id.
            StorageFailed: the disk refuses.

        """
        if classifier_id not in self._states:
            self.get(classifier_id)
        await asyncio.to_thread(self._files.delete, classifier_id)
        self._states.pop(classifier_id, None)
        self._models.pop(classifier_id, None)

    def _encoder_of(self, record: ClassifierRecord) -> Callable[[], Encoder]:
        def encoder() -> Encoder:
            try:
                found = self._pool.get(record.encoder)
            except UnknownEncoder as error:
                needs = f"classifier {record.id} needs encoder {record.encoder}, which is not served (SIMILA_ENCODERS)"
                raise CannotServe(needs, param="classifier_id") from error
            if found.manifest.fingerprint != record.fingerprint:
                raise FingerprintMismatch(
                    f"classifier {record.id} was trained with another revision of {record.encoder} (fingerprint"
                    f" {record.fingerprint[:12]}, served {found.manifest.fingerprint[:12]}); train it anew",
                    param="classifier_id",
                )
            return found

        return encoder

    def _note_use(self, classifier_id: str) -> None:
        state = self._states.get(classifier_id)
        if isinstance(state, ClassifierState):
            used_at = datetime.now(UTC).isoformat()
            self._states[classifier_id] = replace(state, used_number=state.used_number + 1, used_at=used_at)

    def _read(self, classifier_id: str) -> ClassifierState | ClassifierUnavailable:
        try:
            record = self._files.record(classifier_id)
        except ClassifierUnavailable as error:
            logger.error("%s", error)
            return error
        if record.state == "training":
            record = replace(record, state="failed", error=STOPPED)
        return ClassifierState(record)


def check_not_stale(record: ClassifierRecord) -> None:
    """Check that nothing that a classifier learned from was forgotten.

    Raises:
        StaleClassifier: something was, and the classifier was emptied.

    """
    if record.state == "stale":
        message = f"classifier {record.id} is gone: {record.error}; train it anew"
        raise StaleClassifier(message, param="classifier_id")


def _by_age(entry: tuple[str, ClassifierState | ClassifierUnavailable]) -> tuple[bool, str]:
    classifier_id, state = entry
    return (False, state.record.created_at) if isinstance(state, ClassifierState) else (True, classifier_id)
