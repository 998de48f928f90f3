"""Classes that learn from items without labels: prototypes move to the items of a collection that are theirs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from simila.classifiers.activations import Activation
from simila.classifiers.calibration import fitted_temperature
from simila.classifiers.keywords import refined_by_documents
from simila.classifiers.label_propagation import refined_by_propagation, zero_shot_seeds
from simila.classifiers.labels import check_labels
from simila.classifiers.linear_scorer import NEAREST_MEAN_ACTIVATION, cosine_scorer
from simila.classifiers.prototypes import Prototypes, class_totals
from simila.classifiers.pseudo_labels import refined_by_pseudo_labels
from simila.domain.errors import LimitExceeded
from simila.domain.vectors import Float32, Float64, Int64, unit_rows
from simila.services.learned_models import UNFITTED, Options, held_out, linear_arrays
from simila.storage.classifier_files import Array, Method

REFINEMENTS: tuple[Method, ...] = ("keywords", "pseudo_labels", "label_propagation")
# Half a gigabyte of float64, of which there are a few.
MOST_SCORES = 2**26
# Each item is compared with each: some minutes of a laptop's.
MOST_PRODUCTS = 2**41
NO_CLASS = -1


@dataclass(frozen=True, eq=False)
class Start:
    """What the classes are before any item is looked at: unit prototypes of their names, phrases or vectors."""

    prototypes: Prototypes
    activation: Activation


@dataclass(frozen=True)
class RefinementFigures:
    """Accuracies on the items whose labels are known and had no part in the refinement."""

    judged_items: int
    accuracy_before: float
    accuracy_after: float


@dataclass(frozen=True, eq=False)
class Refined:
    """The classes, the arrays that are kept of them, and what it was worth if any items could tell."""

    labels: tuple[str, ...]
    arrays: Mapping[str, Array]
    figures: RefinementFigures | None


@dataclass(frozen=True, eq=False)
class _Seeds:
    """Prototypes, how scores become probabilities, and how surely each item is of each class to begin with."""

    prototypes: Prototypes
    activation: Activation
    seeds: Float64  # [n, c]


def refined(
    method: Method, vectors: Float32, labels: Sequence[str | None], start: Start | None, options: Options
) -> Refined:
    """Move classes to items `float32 [n, d], unit length`, of which some may have a label.

    From a `start` the items' labels only judge. Without one the classes start at the means of the items that have
    labels; a fifth of each class is judged by a refinement without their labels.

    Raises:
        InvalidLabels: there is no start, and the items have fewer than two labels.
        NoExamples: there are not enough items.
        InvalidInput: see the refinements.
        LimitExceeded: there are too many items or classes.

    """
    refine = _REFINEMENTS[method]
    if start is None:
        return _from_labelled(partial(refine, vectors=vectors, options=options), method, vectors, labels)
    names = start.prototypes.labels
    _check_size(method, vectors, len(names))
    seeds = start.activation(cosine_scorer(start.prototypes).scores(vectors))
    after = refine(_Seeds(start.prototypes, start.activation, zero_shot_seeds(seeds)), vectors=vectors, options=options)
    item_classes = _classes_of(labels, names)
    figures = _figures(start.prototypes, after, vectors, item_classes, item_classes != NO_CLASS)
    return Refined(names, linear_arrays(cosine_scorer(after), start.activation), figures)


def _from_labelled(
    refine: Callable[[_Seeds], Prototypes], method: Method, vectors: Float32, labels: Sequence[str | None]
) -> Refined:
    names = tuple(sorted({label for label in labels if label is not None}))
    check_labels(names)
    _check_size(method, vectors, len(names))
    item_classes = _classes_of(labels, names)
    is_judged = np.zeros(len(vectors), dtype=np.bool_)
    is_judged[item_classes != NO_CLASS] = held_out(item_classes[item_classes != NO_CLASS])
    figures, activation = None, UNFITTED
    if is_judged.any():
        taught = _taught(names, vectors, np.where(is_judged, NO_CLASS, item_classes))
        after = refine(taught)
        figures = _figures(taught.prototypes, after, vectors, item_classes, is_judged)
        activation = fitted_temperature(cosine_scorer(after).scores(vectors[is_judged]), item_classes[is_judged])
    after = refine(_taught(names, vectors, item_classes))
    return Refined(names, linear_arrays(cosine_scorer(after), activation), figures)


def _taught(names: tuple[str, ...], vectors: Float32, item_classes: Int64) -> _Seeds:
    """The directions of the classes' means, and certainty where an item has a label."""
    known = np.flatnonzero(item_classes != NO_CLASS)
    totals = class_totals(vectors[known], item_classes[known], len(names))
    seeds = np.zeros((len(vectors), len(names)))
    seeds[known, item_classes[known]] = 1
    return _Seeds(Prototypes(names, unit_rows(totals.astype(np.float32))), NEAREST_MEAN_ACTIVATION, seeds)


def _by_keywords(start: _Seeds, *, vectors: Float32, options: Options) -> Prototypes:
    closest = [
        refined_by_documents(
            prototype,
            vectors,
            least_cosine=options["least_cosine"],
            fewest=int(options["fewest"]),
            most=int(options["most"]),
        )
        for prototype in start.prototypes.vectors.astype(np.float32)
    ]
    return Prototypes(start.prototypes.labels, np.stack(closest))


def _by_pseudo_labels(start: _Seeds, *, vectors: Float32, options: Options) -> Prototypes:
    return refined_by_pseudo_labels(
        start.prototypes,
        vectors,
        start.activation,
        share=options["share"],
        item_weight=options["item_weight"],
        rounds=int(options["rounds"]),
    )


def _by_propagation(start: _Seeds, *, vectors: Float32, options: Options) -> Prototypes:
    return refined_by_propagation(
        start.prototypes,
        vectors,
        start.seeds,
        neighbours=int(options["k"]),
        spread=options["spread"],
        item_weight=options["item_weight"],
    )


def _figures(
    before: Prototypes, after: Prototypes, vectors: Float32, item_classes: Int64, is_judged: np.ndarray
) -> RefinementFigures | None:
    if not is_judged.any():
        return None
    accuracies = [
        float(np.mean(cosine_scorer(one).scores(vectors[is_judged]).argmax(axis=1) == item_classes[is_judged]))
        for one in (before, after)
    ]
    return RefinementFigures(int(is_judged.sum()), *accuracies)


def _classes_of(labels: Sequence[str | None], names: tuple[str, ...]) -> Int64:
    """The class `int64 [n]` of each label, `NO_CLASS` without one or of no class."""
    position_of = {name: position for position, name in enumerate(names)}
    return np.array([position_of.get(label, NO_CLASS) if label else NO_CLASS for label in labels], dtype=np.int64)


def _check_size(method: Method, vectors: Float32, classes: int) -> None:
    items, dimension = vectors.shape
    products = items * items * dimension if method == "label_propagation" else 0
    if items * classes > MOST_SCORES or products > MOST_PRODUCTS:
        raise LimitExceeded(
            f"{items} items and {classes} classes are more than one refinement takes: {MOST_SCORES} scores, and"
            f" {MOST_PRODUCTS} products to compare each item with each; no setting moves this limit, but a filter makes"
            " them fewer",
            param="filter",
        )


_REFINEMENTS: Mapping[Method, Callable[..., Prototypes]] = {
    "keywords": _by_keywords,
    "pseudo_labels": _by_pseudo_labels,
    "label_propagation": _by_propagation,
}
