"""Decision rules against numpy, scipy and scikit-learn."""

import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import special
from skimage import data
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.neighbors import NearestCentroid

from simila.classifiers.decision_rules import NEAREST_MEAN_PRECISION, nearest_mean, ranked, sigmoid, softmax, zero_shot
from simila.classifiers.prototypes import Prototypes, class_means
from simila.domain.manifest import ZeroShot
from simila.domain.results import Prediction
from simila.domain.vectors import unit_rows
from tolerances import FLOAT64_VALUES

SEEDS = st.integers(0, 2**32 - 1)
LABELS = ("east", "north", "up")
AXES = Prototypes(LABELS, np.eye(3))


def units(rows):
    return unit_rows(np.asarray(rows, dtype=np.float32))


@pytest.mark.parametrize(
    "logits", [[[0.0, 0.0]], [[1e4, -1e4, 0.0]], [[-800.0, -801.0]], [[5.0]], [[1.0, 2.0], [3.0, -4.0]]]
)
def test_softmax_and_sigmoid_are_scipys(logits):
    array = np.array(logits)
    np.testing.assert_allclose(softmax(array), special.softmax(array, axis=1), atol=FLOAT64_VALUES)
    np.testing.assert_allclose(sigmoid(array), special.expit(array), rtol=FLOAT64_VALUES)


@pytest.mark.parametrize(
    ("logit", "probability"), [(0.0, 0.5), (1e6, 1.0), (-1e6, 0.0), (40.0, 1.0), (-700.0, np.exp(-700.0))]
)
def test_sigmoid_at_its_extremes(logit, probability):
    np.testing.assert_allclose(sigmoid(np.array([[logit]])), [[probability]], rtol=FLOAT64_VALUES)


@settings(deadline=None)
@given(
    seed=SEEDS,
    classes=st.integers(2, 30),
    scale=st.floats(0.01, 200),
    bias=st.floats(-20, 20),
    activation=st.sampled_from(["softmax", "sigmoid"]),
)
def test_zero_shot_is_scale_bias_and_activation_of_cosines(seed, classes, scale, bias, activation):
    random = np.random.default_rng(seed)
    vectors, prototypes = units(random.normal(size=(7, 16))), units(random.normal(size=(classes, 16)))
    rule = ZeroShot(scale=scale, bias=bias, activation=activation, templates=("{}",))
    labels = [f"class {number}" for number in range(classes)]
    probabilities, cosines = zero_shot(vectors, Prototypes(tuple(labels), prototypes.astype(np.float64)), rule)
    expected_cosines = vectors.astype(np.float64) @ prototypes.T.astype(np.float64)
    logits = scale * expected_cosines + bias
    expected = special.softmax(logits, axis=1) if activation == "softmax" else special.expit(logits)
    np.testing.assert_allclose(cosines, expected_cosines, atol=FLOAT64_VALUES)
    np.testing.assert_allclose(probabilities, expected, atol=FLOAT64_VALUES)
    best = [predictions[0].label for predictions in ranked(labels, probabilities, cosines, None)]
    assert best == [labels[position] for position in expected_cosines.argmax(axis=1)]


def test_probabilities_follow_the_models_own_scale():
    vectors = units([[0.8, 0.6, 0.0]])
    mild, _ = zero_shot(vectors, AXES, ZeroShot(scale=1, templates=("{}",)))
    sharp, _ = zero_shot(vectors, AXES, ZeroShot(scale=100, templates=("{}",)))
    np.testing.assert_allclose(mild, [np.exp([0.8, 0.6, 0]) / np.exp([0.8, 0.6, 0]).sum()], atol=1e-7)
    assert sharp[0, 0] == pytest.approx(1 / (1 + np.exp(-20)), abs=1e-7)


def test_nearest_mean_by_hand():
    means = Prototypes(("far", "near"), np.array([[0.0, 1.0], [0.5, 0.0]]))
    probabilities, cosines = nearest_mean(units([[1, 0]]), means)
    np.testing.assert_allclose(cosines, [[0, 1]], atol=FLOAT64_VALUES)
    # squared distances: 2 and 0.25
    odds = np.exp(-NEAREST_MEAN_PRECISION / 2 * np.array([2, 0.25]))
    np.testing.assert_allclose(probabilities, [odds / odds.sum()], atol=FLOAT64_VALUES)


def test_a_class_mean_of_length_zero_has_cosine_zero():
    _, cosines = nearest_mean(units([[1, 0]]), Prototypes(("none", "some"), np.array([[0.0, 0.0], [1.0, 0.0]])))
    assert cosines.tolist() == [[0, 1]]


def test_one_class_is_certain():
    probabilities, _ = nearest_mean(units([[1, 0]]), Prototypes(("only",), np.array([[0.0, -1.0]])))
    assert probabilities.tolist() == [[1.0]]


def assert_agrees_with_scikit_learn(examples, labels, queries):
    means = class_means(examples, labels)
    answers = ranked(means.labels, *nearest_mean(queries, means), 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a spread within the classes, of which it makes no use here
        reference = NearestCentroid().fit(examples.astype(np.float64), np.asarray(labels))
    assert [answer[0].label for answer in answers] == reference.predict(queries.astype(np.float64)).tolist()


def is_clear(examples, labels, queries):
    """Whether no query lies half-way between two means, where rounding decides."""
    means = class_means(examples, labels).vectors
    distances = np.sort(np.linalg.norm(queries[:, None].astype(np.float64) - means, axis=2), axis=1)
    return bool((distances[:, 1] - distances[:, 0] > FLOAT64_VALUES).all())


@settings(deadline=None, max_examples=80)
@given(seed=SEEDS, sizes=st.lists(st.integers(1, 8), min_size=2, max_size=10), spread=st.sampled_from([0.01, 0.5, 5.0]))
def test_nearest_mean_agrees_with_scikit_learn_on_random_classes(seed, sizes, spread):
    random = np.random.default_rng(seed)
    centres = np.repeat(random.normal(size=(len(sizes), 6)), sizes, axis=0)
    examples = units(centres + spread * random.normal(size=centres.shape))
    labels = np.repeat([f"class {number}" for number in range(len(sizes))], sizes).tolist()
    shuffled = random.permutation(len(labels))
    queries = np.concatenate([examples, units(random.normal(size=(20, 6)))])
    assume(is_clear(examples, labels, queries))
    assert_agrees_with_scikit_learn(examples[shuffled], [labels[position] for position in shuffled], queries)


@pytest.mark.parametrize("load", [load_digits, load_iris, load_wine])
@pytest.mark.parametrize("examples_of_a_class", [1, 5, 40])
def test_nearest_mean_agrees_with_scikit_learn_on_measured_data(load, examples_of_a_class):
    table, target = load(return_X_y=True)
    rows = units((table - table.mean(axis=0)) / np.maximum(table.std(axis=0), 1e-9))
    names = np.array([f"kind {number}" for number in range(target.max() + 1)])[target]
    taught = np.concatenate([np.flatnonzero(names == name)[:examples_of_a_class] for name in np.unique(names)])
    assert is_clear(rows[taught], names[taught].tolist(), rows)
    assert_agrees_with_scikit_learn(rows[taught], names[taught].tolist(), rows)


def test_nearest_mean_agrees_with_scikit_learn_on_faces_of_pixels():
    faces = units(data.lfw_subset().reshape(200, -1) - 0.5)
    labels = ["face"] * 100 + ["no face"] * 100
    assert_agrees_with_scikit_learn(faces[::2], labels[::2], faces[1::2])


def test_ranked_sorts_each_row_and_keeps_labels_scores_and_cosines_together():
    probabilities = np.array([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3]])
    cosines = np.array([[-0.1, 0.6, 0.3], [0.9, 0.1, 0.4]])
    assert ranked(LABELS, probabilities, cosines, None) == [
        [Prediction("north", 0.7, 0.6), Prediction("up", 0.2, 0.3), Prediction("east", 0.1, -0.1)],
        [Prediction("east", 0.5, 0.9), Prediction("up", 0.3, 0.4), Prediction("north", 0.2, 0.1)],
    ]


@pytest.mark.parametrize(("top_k", "expected"), [(1, 1), (2, 2), (3, 3), (9, 3), (None, 3)])
def test_top_k_keeps_the_best(top_k, expected):
    (row,) = ranked(LABELS, np.array([[0.2, 0.3, 0.5]]), np.zeros((1, 3)), top_k)
    assert [prediction.label for prediction in row] == ["up", "north", "east"][:expected]


def test_equal_classes_keep_the_order_of_their_labels():
    (row,) = ranked(("b", "a", "d", "c"), np.array([[0.2, 0.3, 0.3, 0.2]]), np.zeros((1, 4)), None)
    assert [prediction.label for prediction in row] == ["a", "d", "b", "c"]


def test_cosines_decide_where_the_sigmoid_is_full():
    rule = ZeroShot(scale=100, activation="sigmoid", templates=("{}",))
    probabilities, cosines = zero_shot(units([[0.5, 0.6, 0.0]]), AXES, rule)
    assert probabilities[0, :2].tolist() == [1.0, 1.0]
    (row,) = ranked(LABELS, probabilities, cosines, None)
    assert [prediction.label for prediction in row] == ["north", "east", "up"]
