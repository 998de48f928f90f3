import numpy as np
import pytest

from simila.classifiers.calibration import fitted_temperature
from simila.classifiers.ridge import ridge_probe
from simila.domain.errors import InvalidInput, InvalidLabels
from simila.domain.vectors import unit_rows
from simila.services.learned_models import complete_options, learned, with_examples

LABELS = ["a", "b", "c"]


def examples(count, *, noise=1.0):
    random = np.random.default_rng(3)
    centres = random.normal(size=(3, 6))
    classes = np.arange(count) % 3
    vectors = unit_rows((centres[classes] + noise * random.normal(size=(count, 6))).astype(np.float32))
    return vectors, [LABELS[position] for position in classes]


def test_sums_that_are_added_to_are_those_of_all():
    vectors, labels = examples(30)
    _, together = learned("nearest_mean", vectors, labels, {})
    classes, first = learned("nearest_mean", vectors[:10], labels[:10], {})
    sums = with_examples(first, classes, vectors[10:], labels[10:])
    assert [content for _, content in sums.rows()] == [
        np.concatenate([[count], units]).astype("<i8").tobytes()
        for count, units in zip(together["counts"], together["units"], strict=True)
    ]


def test_a_probe_is_of_all_examples_and_its_scale_of_those_held_out():
    vectors, labels = examples(60)
    classes, arrays = learned("ridge", vectors, labels, complete_options("ridge", {"penalty": 0.5}))
    probe = ridge_probe(vectors, np.arange(60) % 3, classes, penalty=0.5)
    np.testing.assert_array_equal(arrays["weights"], probe.weights)
    held_out = np.arange(60) // 3 % 5 == 4
    unseen = ridge_probe(vectors[~held_out], (np.arange(60) % 3)[~held_out], classes, penalty=0.5)
    fitted = fitted_temperature(unseen.scores(vectors[held_out]), (np.arange(60) % 3)[held_out])
    assert arrays["activation"].tolist() == [fitted.scale, 0, 0]


@pytest.mark.parametrize("method", ["ridge", "logistic"])
def test_a_probe_knows_how_frequent_its_classes_were(method):
    vectors, labels = examples(60)
    kept = [row for row in range(60) if labels[row] != "c" or row % 2]
    _, arrays = learned(method, vectors[kept], [labels[row] for row in kept], complete_options(method, {}))
    assert arrays["item_shares"].tolist() == [0.4, 0.4, 0.2]


def test_a_probe_of_few_examples_has_a_scale_too():
    vectors, labels = examples(6)
    assert learned("ridge", vectors, labels, complete_options("ridge", {}))[1]["activation"].tolist() == [10, 0, 0]


def test_one_label_is_refused():
    with pytest.raises(InvalidLabels, match="at least 2 labels are needed, got 1"):
        learned("knn", examples(3)[0], ["a", "a", "a"], {})


@pytest.mark.parametrize(
    ("method", "given"), [("ridge", {"k": 3}), ("logistic", {"penalty": 0}), ("knn", {"k": np.inf})]
)
def test_options_that_a_method_has_not_are_refused(method, given):
    with pytest.raises(InvalidInput) as refused:
        complete_options(method, given)
    assert refused.value.param == next(iter(given))
