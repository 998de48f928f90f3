"""Use case: how frequent are a classifier's classes where it is used?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from simila.domain.errors import CannotServe, InvalidInput, quoted
from simila.domain.inputs import Source
from simila.services.classifiers import ClassifierService
from simila.services.decisions import DecisionRules

# A class that a sample has none of may come yet.
SMALLEST_PRIOR = 1e-6
NOT_EXCLUSIVE = "priors are of classes that exclude each other; this classifier's do not"


@dataclass(frozen=True)
class StreamPriors:
    """The priors that a classifier corrects its probabilities by from now on, and of how many inputs they are."""

    priors: Mapping[str, float]
    inputs: int
    tokens: int


class StreamPriorService:
    """Keeps with a classifier the class priors of the stream that it is used on (Saerens et al. 2002)."""

    def __init__(self, classifiers: ClassifierService) -> None:
        self._classifiers = classifiers

    async def estimate(self, classifier_id: str, inputs: Sequence[Source]) -> StreamPriors:
        """Estimate them from unlabelled inputs by expectation-maximisation, and keep them.

        Raises:
            UnknownClassifier, NotReady, StaleClassifier, CannotServe, InvalidInput, …: see `classify`.
            CannotServe: the classes do not exclude each other.
            StorageFailed: the disk refuses.

        """
        rules = DecisionRules(top_k=1, priors="estimate")
        classified = await self._classifiers.classify(classifier_id, inputs, rules)
        assert classified.priors is not None
        priors = await self.keep(classifier_id, classified.priors)
        return StreamPriors(priors, len(inputs), classified.tokens)

    async def keep(self, classifier_id: str, given: Mapping[str, float] | None) -> Mapping[str, float]:
        """Keep priors that are known, scaled to sum to 1; without any, classes are equally frequent again.

        Raises:
            UnknownClassifier, NotReady, StaleClassifier, CannotServe, …: see `ClassifierService.model`.
            CannotServe: the classes do not exclude each other.
            InvalidInput: a label has no number, or a number has no label or is negative, or all are 0.
            StorageFailed: the disk refuses.

        """
        async with self._classifiers.changing:
            record = self._classifiers.get(classifier_id).record
            if not (await self._classifiers.model(record)).is_exclusive:
                raise CannotServe(NOT_EXCLUSIVE, param="priors")
            priors = None if given is None else _scaled(given, record.labels)
            await self._classifiers.keep(replace(record, priors=priors), await self._classifiers.arrays(record))
        return priors or {}


def _scaled(given: Mapping[str, float], labels: Sequence[str]) -> Mapping[str, float]:
    if odd := set(given) ^ set(labels):
        raise InvalidInput(f"priors must have one number a label; at odds: {quoted(min(odd))}", param="priors")
    values = np.array([given[label] for label in labels])
    if not (np.isfinite(values).all() and (values >= 0).all() and values.any()):
        raise InvalidInput("priors must be at least 0, and one above 0", param="priors")
    values = values / values.max()  # first: the sum of such numbers may be infinite
    values = np.maximum(values / values.sum(), SMALLEST_PRIOR)
    return dict(zip(labels, (values / values.sum()).tolist(), strict=True))
