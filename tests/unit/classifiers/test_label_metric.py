import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from simila.classifiers.label_metric import label_metric
from simila.domain.errors import InvalidInput, InvalidLabels

SQUARE = ["a", "b", "c", "d"]  # the corners of a square, in turn
WAYS = [[0, 1, 2, 1], [1, 0, 1, 2], [2, 1, 0, 1], [1, 2, 1, 0]]


@given(seed=st.integers(0, 2**32 - 1), seen=st.integers(1, 7))
def test_the_best_score_is_the_frechet_mean_of_a_loop(seed, seen):
    random = np.random.default_rng(seed)
    places = random.normal(size=(7, 3))
    distances = cdist(places, places)
    labels = tuple("abcdefg")
    known = random.permutation(7)[:seen]
    probabilities = random.dirichlet(np.ones(seen), size=4)
    scores = label_metric(labels, distances).frechet_scores([labels[position] for position in known], probabilities)
    for row in range(4):
        energies = [
            sum(probabilities[row, i] * distances[candidate, known[i]] ** 2 for i in range(seen))
            for candidate in range(7)
        ]
        np.testing.assert_allclose(scores[row], -np.array(energies), atol=1e-9)


def test_between_two_likely_labels_lies_one_that_was_never_seen():
    """On a line of five, the mean of the ends is the middle."""
    line = np.abs(np.subtract.outer(np.arange(5), np.arange(5)))
    scores = label_metric(list("abcde"), line).frechet_scores(["a", "e"], np.array([[0.5, 0.5], [0.9, 0.1]]))
    assert scores.argmax(axis=1).tolist() == [2, 0]


def test_where_all_distances_are_one_the_most_probable_label_is_best():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), size=9)
    scores = label_metric(SQUARE, 1 - np.eye(4)).frechet_scores(SQUARE, probabilities)
    assert scores.argmax(axis=1).tolist() == probabilities.argmax(axis=1).tolist()


def changed(row, column, value):
    ways = np.array(WAYS, dtype=float)
    ways[row, column] = value
    return ways


@pytest.mark.parametrize(
    ("distances", "message"),
    [
        (WAYS[:3], "the label metric is 3 x 4; 4 labels need 4 x 4"),
        ([[0.0]], "the label metric is 1 x 1; 4 labels need 4 x 4"),
        ([[0, 1], [1]], "the label metric's rows are not of one length"),
        (changed(1, 2, np.nan), "the label metric's distance of 'b' to 'c' is not finite"),
        (changed(1, 2, -1), "the label metric's distance of 'b' to 'c' is negative"),
        (changed(1, 2, 1e155), "the label metric's distance of 'b' to 'c' is more than 1e+100"),
        (changed(2, 2, 1), "the label metric's distance of 'c' to 'c' is of a label to itself and not 0"),
        (changed(3, 0, 2), "the label metric's distance of 'a' to 'd' is not the same both ways"),
    ],
)
def test_what_is_no_metric_is_refused(distances, message):
    with pytest.raises(InvalidInput) as refused:
        label_metric(SQUARE, distances)
    assert (refused.value.message, refused.value.param) == (message, "label_metric")


def test_labels_that_have_no_distances_are_refused():
    with pytest.raises(InvalidLabels, match="the label 'z' has no distances"):
        label_metric(SQUARE, WAYS).frechet_scores(["a", "z"], np.array([[0.5, 0.5]]))
    with pytest.raises(InvalidLabels, match="occurs twice") as refused:
        label_metric(["a", "a", "b", "c"], WAYS)
    assert refused.value.param == "label_metric.labels[1]"
