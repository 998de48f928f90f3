"""Trainings in the background, one by one: how far each is, and what becomes of it when items are forgotten."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from simila.domain.errors import ClassifierUnavailable, SimilaError
from simila.index.collection import Collection
from simila.services.classifiers import ClassifierService, ClassifierState
from simila.storage.classifier_files import Array, ClassifierRecord

logger = logging.getLogger("simila.services")
SEQUENCES = "sequences"
"""The name of the array in which a classifier keeps which items of its collection it learned from."""


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training in the background is: waiting, reading examples, or fitting to all of them."""

    step: str
    samples_done: int
    samples_total: int


@dataclass(frozen=True)
class ErasedClassifiers:
    """By their ids: those that became `stale`, and the `unreadable`, which may have learned from the items too."""

    stale: Sequence[str]
    unreadable: Sequence[str]


Report = Callable[[str, int], None]
Fit = Callable[[Report], tuple[ClassifierRecord, Mapping[str, Array]]]


class TrainingJobs:
    """Fits classifiers in threads, one at a time, and keeps what comes of it."""

    def __init__(self, classifiers: ClassifierService) -> None:
        self._classifiers = classifiers
        self._fits = asyncio.Lock()
        self._forgets: Counter[str] = Counter()  # by collection
        self._progress: dict[str, TrainingProgress] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def progress(self, classifier_id: str) -> TrainingProgress | None:
        return self._progress.get(classifier_id)

    def begin(self, record: ClassifierRecord, total: int, fit: Fit) -> None:
        """Have a classifier of `total` examples fitted, which is kept as `training` already."""

        def report(step: str, samples_done: int) -> None:
            self._progress[record.id] = TrainingProgress(step, samples_done, total)

        report("waiting", 0)
        task = asyncio.create_task(self._run(record, fit, report))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def forget(self, collection: Collection) -> ErasedClassifiers:
        """Erase the classifiers that learned from items that a collection does not hold any more.

        They are `stale` from then on. One that is being trained reads its items again.

        Raises:
            StorageFailed: the disk refuses.

        """
        name = collection.spec.name
        self._forgets[name] += 1
        stale = []
        async with self._classifiers.changing:
            held = await asyncio.to_thread(collection.reader.sequences)
            for classifier_id, state in self._classifiers.all().items():
                if not isinstance(state, ClassifierState) or state.record.collection != name:
                    continue
                if state.record.state == "ready" and not await self._learned_only(state.record, collection, held):
                    await self._classifiers.keep(_emptied(state.record), {})
                    stale.append(classifier_id)
            return ErasedClassifiers(stale, self._classifiers.unreadable())

    async def close(self) -> None:
        """End what is under way; a classifier that was being trained is `failed` after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, record: ClassifierRecord, fit: Fit, report: Report) -> None:
        try:
            async with self._fits:
                while not await self._fitted(record, fit, report):
                    logger.info("classifier %s is trained again: items were forgotten meanwhile", record.id)
        except SimilaError as error:
            await self._give_up(record, error.message)
        except Exception:
            logger.exception("classifier %s could not be trained", record.id)
            await self._give_up(record, "the training failed; the server's log says why")
        finally:
            self._progress.pop(record.id, None)

    async def _fitted(self, record: ClassifierRecord, fit: Fit, report: Report) -> bool:
        """Fit and keep; False, and nothing kept, where what was learned may have been forgotten meanwhile."""
        forgets = self._forgets[record.collection or ""]
        fitted, arrays = await asyncio.to_thread(fit, report)
        async with self._classifiers.changing:
            if self._forgets[record.collection or ""] != forgets:
                return False
            await self._replace(fitted, arrays)
        return True

    async def _give_up(self, record: ClassifierRecord, reason: str) -> None:
        logger.warning("classifier %s could not be trained: %s", record.id, reason)
        async with self._classifiers.changing:
            await self._replace(replace(record, state="failed", error=reason), {})

    async def _replace(self, record: ClassifierRecord, arrays: Mapping[str, Array]) -> None:
        """Keep what came of a training, unless the classifier was deleted meanwhile."""
        if record.id in self._classifiers.all():
            await self._classifiers.keep(record, arrays)

    async def _learned_only(self, record: ClassifierRecord, collection: Collection, held: np.ndarray) -> bool:
        if record.store_id != collection.spec.store_id:  # made anew or restored since: its sequences are other items
            return False
        try:
            arrays = await self._classifiers.arrays(record)
        except ClassifierUnavailable:  # nobody knows what is in its files
            return False
        return bool(np.isin(arrays[SEQUENCES], held).all())


def _emptied(record: ClassifierRecord) -> ClassifierRecord:
    """Without all that was learned; a label may be what was to be forgotten."""
    reason = f"items of collection {record.collection} that it learned from were forgotten"
    return replace(record, state="stale", error=reason, labels=(), num_samples=0, figures=None, priors=None)
