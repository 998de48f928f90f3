"""Use case: how well do a collection's labelled items classify?"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from simila.classifiers.calibration import Calibration, calibration
from simila.classifiers.evaluation import Evaluation, evaluate, open_set_auroc
from simila.classifiers.labels import FEWEST_CLASSES
from simila.domain.errors import InvalidInput, LimitExceeded, NoExamples, quoted
from simila.domain.vectors import Float64, Int64
from simila.index.catalogue import Catalogue
from simila.services.class_models import Scored
from simila.services.example_classification import ByExamples, ExampleClassificationService
from simila.services.example_methods import (
    Blend,
    ExampleMethod,
    Examples,
    NearestMean,
    NearestNeighbours,
    temperature_of,
    thresholds_of,
)
from simila.services.example_models import ExampleModels

# A confusion matrix of so many classes is 32 MB.
MOST_CLASSES = 2000
# Some ten seconds of a laptop's.
MOST_PRODUCTS = 2**38


@dataclass(frozen=True)
class HowToEvaluate:
    """Which items are judged by which: each by all others, or a `held_out` share of each class by the rest.

    `hold_out_classes` are not learned at all; their items are the unknown that is to be told from the known.
    """

    by: ByExamples
    held_out: float | None = None
    seed: int = 0
    hold_out_classes: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class OpenSet:
    """How well familiarity tells items of classes that were not learned from the others."""

    auroc: float
    unknown_items: int


@dataclass(frozen=True, eq=False)
class EvaluationReport:
    """Figures over the judged items; of `labels` the classes are in order.

    `thresholds` are those under which each label's F1 is largest, NaN where nothing tells.
    """

    how: HowToEvaluate
    labels: tuple[str, ...]
    evaluation: Evaluation
    calibration: Calibration
    thresholds: Float64  # [c]
    open_set: OpenSet | None


class EvaluationService:
    """Judges labelled items by the others."""

    def __init__(self, catalogue: Catalogue, models: ExampleModels, by_example: ExampleClassificationService) -> None:
        self._catalogue = catalogue
        self._models = models
        self._by_example = by_example

    async def evaluate(self, name: str, how: HowToEvaluate) -> EvaluationReport:
        """Measure a method on the collection's own items.

        Raises:
            NoExamples: there are no two classes to tell apart, or no item can be held out.
            InvalidInput: an option is not of the method, `k` is more than there are items to learn, or a class that is
                to be held out is none.
            CannotServe: see `ExampleClassificationService.method`.
            LimitExceeded: there are too many classes or items to be judged at once.

        """
        collection = self._catalogue.get(name)
        how.by.check()
        if how.held_out is not None:
            _check_share(how.held_out)
        method = await self._by_example.method(collection, replace(how.by, calibrated=False))
        return await asyncio.to_thread(lambda: judge(self._models.examples(collection), method, how))


def judge(examples: Examples, method: ExampleMethod, how: HowToEvaluate) -> EvaluationReport:
    """Measure a method on examples; raises as `EvaluationService.evaluate` does."""
    known, unknown = _without_classes(examples, how.hold_out_classes)
    learned, judged = _split(known, how)
    _check_size(learned, judged, method, how.by)
    if how.by.calibrated and isinstance(method, NearestMean | Blend):
        # Of what is learned: what is judged has no part in it, unless it is learned too.
        method = replace(method, activation=temperature_of(method.left_out(learned), learned.item_classes))
    scored = method.left_out(known) if how.held_out is None else method.learned(learned).scored(judged.vectors)
    return EvaluationReport(
        how,
        known.labels,
        evaluate(judged.item_classes, scored.scores.argmax(axis=1), len(known.labels)),
        calibration(scored.probabilities, judged.item_classes),
        thresholds_of(scored, judged.item_classes),
        _open_set(scored, method, learned, unknown) if len(unknown.vectors) else None,
    )


def _open_set(known: Scored, method: ExampleMethod, learned: Examples, unknown: Examples) -> OpenSet:
    familiarity = method.learned(learned).scored(unknown.vectors).familiarity
    return OpenSet(open_set_auroc(known.familiarity, familiarity), len(familiarity))


def _without_classes(examples: Examples, labels: Sequence[str]) -> tuple[Examples, Examples]:
    """The items of all other classes, and the items of these."""
    for label in labels:
        if label not in examples.labels:
            raise InvalidInput(f"no item has the label {quoted(label)}", param="hold_out_classes")
    left = [position for position, label in enumerate(examples.labels) if label not in set(labels)]
    if len(left) < FEWEST_CLASSES:
        message = f"{len(left)} classes are left to learn; at least {FEWEST_CLASSES} are needed"
        raise NoExamples(message, param="hold_out_classes")
    position_of = np.full(len(examples.labels), -1)
    position_of[left] = np.arange(len(left))
    classes = position_of[examples.item_classes]
    known = examples.of(np.flatnonzero(classes >= 0))
    kept = tuple(examples.labels[position] for position in left)
    known = replace(known, labels=kept, item_classes=position_of[known.item_classes])
    return known, examples.of(np.flatnonzero(classes < 0))


def _split(examples: Examples, how: HowToEvaluate) -> tuple[Examples, Examples]:
    """What is learned and what is judged: all of both for leave-one-out."""
    if how.held_out is None:
        return examples, examples
    is_judged = np.zeros(len(examples.vectors), dtype=bool)
    random = np.random.default_rng(how.seed)
    for position in range(len(examples.labels)):
        rows: Int64 = random.permutation(np.flatnonzero(examples.item_classes == position))
        # One stays, so that the class is learned.
        is_judged[rows[: min(round(how.held_out * len(rows)), len(rows) - 1)]] = True
    if not is_judged.any():
        message = f"no class has enough items to hold out a share of {how.held_out:g}"
        raise NoExamples(message, param="held_out")
    return examples.of(np.flatnonzero(~is_judged)), examples.of(np.flatnonzero(is_judged))


def _check_share(share: float) -> None:
    if not 0 < share < 1:
        raise InvalidInput(f"held_out is {share}; it must be between 0 and 1", param="held_out")


def _check_size(learned: Examples, judged: Examples, method: ExampleMethod, by: ByExamples) -> None:
    classes, (items, dimension) = len(learned.labels), judged.vectors.shape
    if classes > MOST_CLASSES:
        message = f"{classes} classes are more than the {MOST_CLASSES} that can be evaluated at once"
        raise LimitExceeded(f"{message}; no setting moves this limit", param="name")
    if isinstance(method, NearestMean):
        return
    others = len(learned.vectors) - (learned is judged)
    if by.k is not None and by.k > others:
        raise InvalidInput(f"k is {by.k}, more than the {others} items that others are judged by", param="k")
    products = items * dimension * (len(learned.vectors) if isinstance(method, NearestNeighbours) else 8 * classes)
    if products > MOST_PRODUCTS:
        raise LimitExceeded(
            f"{items} items take {products} products to judge by this method, more than the {MOST_PRODUCTS} that one"
            " request may take; no setting moves this limit: evaluate nearest_mean, or a smaller collection",
            param="method",
        )
