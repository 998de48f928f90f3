"""What each method of training learns from labelled vectors, as arrays, and the model that those arrays make."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simila.classifiers import label_propagation, pseudo_labels
from simila.classifiers.activations import Activation
from simila.classifiers.calibration import fitted_temperature
from simila.classifiers.class_sums import ClassSums
from simila.classifiers.keywords import FEWEST_DOCUMENTS, LEAST_COSINE, MOST_DOCUMENTS
from simila.classifiers.labels import check_labels, class_positions
from simila.classifiers.linear_scorer import NEAREST_MEAN_ACTIVATION, LinearScorer, nearest_mean_scorer
from simila.classifiers.nearest_neighbours import MOST_NEIGHBOURS
from simila.classifiers.probe_checks import PENALTY
from simila.classifiers.pseudo_labels import ROUNDS, SHARE_OF_ITEMS
from simila.classifiers.ridge import ridge_probe
from simila.domain.class_sum import ClassSum
from simila.domain.errors import InvalidInput
from simila.domain.vectors import Float32, Int64
from simila.services.class_models import ClassModel, LinearModel, NeighbourModel, class_shares
from simila.storage.classifier_files import Array, ClassifierRecord, Method

NEIGHBOURS = 10
UNFITTED = Activation(scale=10.0)  # of too few examples to hold any out
_HELD_OUT_EVERY = 5

Arrays = Mapping[str, Array]
Options = Mapping[str, float]

_OPTIONS: Mapping[Method, Mapping[str, float]] = {
    "nearest_mean": {},
    "knn": {"k": NEIGHBOURS},
    "ridge": {"penalty": PENALTY},
    "logistic": {"penalty": PENALTY},
    "keywords": {"least_cosine": LEAST_COSINE, "fewest": FEWEST_DOCUMENTS, "most": MOST_DOCUMENTS},
    "pseudo_labels": {"share": SHARE_OF_ITEMS, "item_weight": pseudo_labels.ITEM_WEIGHT, "rounds": ROUNDS},
    "label_propagation": {
        "k": label_propagation.NEIGHBOURS,
        "spread": label_propagation.REFINEMENT_SPREAD,
        "item_weight": label_propagation.ITEM_WEIGHT,
    },
}
# What is above 0 and yet no sense: a share of the items, a spread that would never end, rounds that would last, a
# weight beside which float32 forgets the prototype and then overflows.
_LARGEST = {
    "share": 1.0,
    "least_cosine": 1.0,
    "spread": 0.99,
    "rounds": 100,
    "most": 1000,
    "k": MOST_NEIGHBOURS,
    "item_weight": 1e6,
}


def complete_options(method: Method, given: Options) -> dict[str, float]:
    """The options of a method, by default where they are not given.

    Raises:
        InvalidInput: the method has no such option, or not of such a value.

    """
    known = _OPTIONS[method]
    for name, value in given.items():
        if name not in known:
            raise InvalidInput(f"{name} is no option of {method}", param=name)
        if not 0 < value < np.inf:
            raise InvalidInput(f"{name} is {value}; it must be above 0", param=name)
        if value > (largest := _LARGEST.get(name, value)):
            raise InvalidInput(f"{name} is {value}; it must be at most {largest}", param=name)
    complete = {**known, **{name: float(value) for name, value in given.items()}}
    if complete.get("fewest", 0) > complete.get("most", 0):
        raise InvalidInput(f"fewest is {complete['fewest']}, more than most, {complete['most']}", param="fewest")
    return complete


def learned(
    method: Method, vectors: Float32, labels: Sequence[str], options: Options
) -> tuple[tuple[str, ...], dict[str, Array]]:
    """The classes in alphabetical order, and the arrays of `float32 [n, d], unit length` with a label each.

    Raises:
        InvalidLabels: there are fewer than two labels, or a blank one.
        LimitExceeded: see `ClassSums.add`.

    """
    classes, item_classes = class_positions(labels)
    check_labels(classes)
    return classes, _LEARNERS[method](vectors, item_classes, classes, options)


def with_examples(
    arrays: Mapping[str, Any], labels: Sequence[str], vectors: Float32, new_labels: Sequence[str]
) -> ClassSums:
    """The sums of a nearest-mean classifier with `float32 [n, d], unit length` more."""
    sums = stored_sums(labels, arrays)
    sums.add(vectors, new_labels)
    return sums


def stored_sums(labels: Sequence[str], arrays: Mapping[str, Any]) -> ClassSums:
    counts, units = arrays["counts"].tolist(), arrays["units"]
    by_label = {label: ClassSum(count, row) for label, count, row in zip(labels, counts, units, strict=True)}
    return ClassSums(units.shape[1], by_label)


def sum_arrays(sums: ClassSums) -> dict[str, Array]:
    rows = np.stack([np.frombuffer(content, "<i8").astype(np.int64) for _, content in sums.rows()])
    return {"counts": rows[:, 0].copy(), "units": rows[:, 1:].copy()}


def class_model(record: ClassifierRecord, arrays: Mapping[str, Any]) -> ClassModel:
    """The model that a stored classifier's arrays make."""
    if record.method == "nearest_mean":
        means = stored_sums(record.labels, arrays).means()
        return LinearModel(nearest_mean_scorer(means), NEAREST_MEAN_ACTIVATION)
    if record.method == "knn":
        return NeighbourModel(record.labels, arrays["items"], arrays["item_classes"], int(record.options["k"]))
    scorer = LinearScorer(record.labels, arrays["weights"], arrays["biases"])
    scale, bias, is_sigmoid = arrays["activation"].tolist()
    activation = Activation(scale, bias, "sigmoid" if is_sigmoid else "softmax")
    return LinearModel(scorer, activation, arrays.get("item_shares"))


def held_out(item_classes: Int64) -> NDArray[np.bool_]:
    """Every fifth example of each class: `bool [n]`, of classes `int64 [n]`."""
    by_class = np.argsort(item_classes, kind="stable")
    counts = np.bincount(item_classes)
    number_in_class = np.arange(len(by_class)) - np.repeat(np.cumsum(counts) - counts, counts)
    is_held_out = np.zeros(len(by_class), dtype=np.bool_)
    is_held_out[by_class] = number_in_class % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1
    return is_held_out


def linear_arrays(scorer: LinearScorer, activation: Activation) -> dict[str, Array]:
    row = np.array([activation.scale, activation.bias, activation.kind == "sigmoid"])
    return {"weights": scorer.weights, "biases": scorer.biases, "activation": row}


def _nearest_mean(vectors: Float32, item_classes: Int64, classes: Sequence[str], _: Options) -> dict[str, Array]:
    sums = ClassSums(vectors.shape[1])
    sums.add(vectors, [classes[position] for position in item_classes.tolist()])
    return sum_arrays(sums)


def _neighbours(vectors: Float32, item_classes: Int64, _: Sequence[str], __: Options) -> dict[str, Array]:
    return {"items": vectors, "item_classes": item_classes}


def _ridge(vectors: Float32, item_classes: Int64, classes: Sequence[str], options: Options) -> dict[str, Array]:
    def fit(vectors: Float32, item_classes: Int64) -> LinearScorer:
        return ridge_probe(vectors, item_classes, classes, penalty=options["penalty"])

    return _probe(fit, vectors, item_classes)


def _logistic(vectors: Float32, item_classes: Int64, classes: Sequence[str], options: Options) -> dict[str, Array]:
    # scikit-learn takes a second to import, and only those who fit this probe need it.
    from simila.classifiers.logistic_regression import logistic_probe  # noqa: PLC0415

    def fit(vectors: Float32, item_classes: Int64) -> LinearScorer:
        return logistic_probe(vectors, item_classes, classes, penalty=options["penalty"]).scorer

    return _probe(fit, vectors, item_classes)


def _probe(fit: Callable[[Float32, Int64], LinearScorer], vectors: Float32, item_classes: Int64) -> dict[str, Array]:
    """A probe of all examples, and the scale under which held-out ones are most likely by a probe without them."""
    scorer, is_judged = fit(vectors, item_classes), held_out(item_classes)
    activation = UNFITTED
    if is_judged.any():
        probe = fit(vectors[~is_judged], item_classes[~is_judged])
        activation = fitted_temperature(probe.scores(vectors[is_judged]), item_classes[is_judged])
    shares = class_shares(np.bincount(item_classes, minlength=len(scorer.labels)))
    return {**linear_arrays(scorer, activation), "item_shares": shares}


_LEARNERS: Mapping[Method, Callable[[Float32, Int64, Sequence[str], Options], dict[str, Array]]] = {
    "nearest_mean": _nearest_mean,
    "knn": _neighbours,
    "ridge": _ridge,
    "logistic": _logistic,
}
