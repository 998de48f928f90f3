"""Linear scores against numpy, and nearest mean against scikit-learn, item by item."""

import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from skimage import data
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.neighbors import NearestCentroid

from memory_vectors import unit_vectors
from simila.classifiers import linear_scorer
from simila.classifiers.linear_scorer import LinearScorer, cosine_scorer, nearest_mean_scorer
from simila.classifiers.prototypes import Prototypes, class_means
from simila.domain.vectors import unit_rows
from tolerances import FLOAT64_VALUES


def units(rows):
    return unit_rows(np.asarray(rows, dtype=np.float32))


@pytest.mark.parametrize("classes_a_block", [3, 10, 4096])
def test_scores_are_products_and_biases_in_float64(monkeypatch, classes_a_block):
    monkeypatch.setattr(linear_scorer, "_CLASSES_A_BLOCK", classes_a_block)
    vectors, weights = unit_vectors(0, 7, 16), unit_vectors(1, 10, 16)
    biases = np.linspace(-1, 1, 10)
    scorer = LinearScorer(tuple("abcdefghij"), weights, biases)
    expected = vectors.astype(np.float64) @ weights.T.astype(np.float64)
    np.testing.assert_allclose(scorer.scores(vectors), expected + biases, atol=FLOAT64_VALUES)
    np.testing.assert_allclose(
        scorer.cosines(expected + biases), expected / np.linalg.norm(weights.astype(np.float64), axis=1), rtol=1e-9
    )


def test_the_cosine_scorers_scores_are_cosines():
    vectors, prototypes = unit_vectors(0, 7, 16), unit_vectors(1, 10, 16)
    scores = cosine_scorer(Prototypes(tuple("abcdefghij"), prototypes)).scores(vectors)
    np.testing.assert_allclose(scores, vectors.astype(np.float64) @ prototypes.T, atol=1e-7)


def test_nearest_mean_by_hand():
    scorer = nearest_mean_scorer(Prototypes(("far", "near"), np.array([[0.0, 1.0], [0.5, 0.0]])))
    scores = scorer.scores(units([[1, 0]]))
    np.testing.assert_allclose(scores, [[-0.5, 0.375]], atol=FLOAT64_VALUES)
    np.testing.assert_allclose(scorer.cosines(scores), [[0, 1]], atol=FLOAT64_VALUES)


def test_a_class_mean_of_length_zero_has_cosine_zero():
    scorer = nearest_mean_scorer(Prototypes(("none", "some"), np.array([[0.0, 0.0], [1.0, 0.0]])))
    assert scorer.cosines(scorer.scores(units([[1, 0]]))).tolist() == [[0, 1]]


def assert_agrees_with_scikit_learn(examples, labels, queries):
    means = class_means(examples, labels)
    predicted = [means.labels[position] for position in nearest_mean_scorer(means).scores(queries).argmax(axis=1)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a spread within the classes, of which it makes no use here
        reference = NearestCentroid().fit(examples.astype(np.float64), np.asarray(labels))
    assert predicted == reference.predict(queries.astype(np.float64)).tolist()


def is_clear(examples, labels, queries):
    """Whether no query lies half-way between two means, where rounding decides."""
    means = class_means(examples, labels).vectors
    distances = np.sort(np.linalg.norm(queries[:, None].astype(np.float64) - means, axis=2), axis=1)
    return bool((distances[:, 1] - distances[:, 0] > FLOAT64_VALUES).all())


@settings(max_examples=80)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.integers(1, 8), min_size=2, max_size=10),
    spread=st.sampled_from([0.01, 0.5, 5.0]),
)
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
