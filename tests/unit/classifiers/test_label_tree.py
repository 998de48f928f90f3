import numpy as np
import pytest
from scipy.sparse.csgraph import shortest_path

from simila.classifiers.label_tree import label_tree
from simila.domain.errors import InvalidInput, InvalidLabels

PARENTS = {
    "animal": "thing",
    "dog": "animal",
    "poodle": "dog",
    "cat": "animal",
    "thing": None,
    "car": "thing",
}


def test_distances_are_the_shortest_ways_along_the_edges():
    tree = label_tree(PARENTS)
    edges = np.zeros((6, 6))
    for label, parent in PARENTS.items():
        if parent:
            edges[tree.labels.index(label), tree.labels.index(parent)] = 1
    np.testing.assert_array_equal(tree.metric().distances, shortest_path(edges, directed=False))
    assert dict(zip(tree.labels, tree.depths.tolist(), strict=True)) == {
        "thing": 0,
        "animal": 1,
        "cat": 2,
        "dog": 2,
        "poodle": 3,
        "car": 1,
    }


def test_a_label_is_as_probable_as_all_below_it():
    tree = label_tree(PARENTS)
    masses = tree.masses(["cat", "poodle", "car", "dog"], np.array([[0.4, 0.2, 0.3, 0.1]]))
    np.testing.assert_allclose(masses, [[0.7, 0.3, 0.2, 0.4, 1.0, 0.3]])


def test_independent_labels_are_there_unless_all_are_not():
    tree = label_tree(PARENTS)
    masses = tree.masses(["cat", "poodle", "car", "dog"], np.array([[0.9, 0.8, 0.0, 1.0]]), exclusive=False)
    np.testing.assert_allclose(masses, [[1.0, 1.0, 0.8, 0.9, 1.0, 0.0]])
    half = tree.masses(["cat", "poodle", "car", "dog"], np.full((1, 4), 0.5), exclusive=False)
    np.testing.assert_allclose(half, [[1 - 0.5**3, 1 - 0.5**2, 0.5, 0.5, 1 - 0.5**4, 0.5]])


@pytest.mark.parametrize(
    ("confidence", "answer"),
    [(0.15, "poodle"), (0.25, "cat"), (0.45, "animal"), (0.7, "animal"), (0.9, "thing"), (1, "thing")],
)
def test_the_answer_is_as_deep_as_it_is_certain(confidence, answer):
    tree = label_tree(PARENTS)
    masses = tree.masses(["cat", "poodle", "car", "dog"], np.array([[0.4, 0.2, 0.29999, 0.1]]))
    assert [tree.labels[position] for position in tree.deepest_confident(masses, confidence)] == [answer]


@pytest.mark.parametrize("confidence", [0, -1, 1.1, np.nan])
def test_a_confidence_that_is_none_is_refused(confidence):
    with pytest.raises(InvalidInput, match="it must be above 0 and at most 1"):
        label_tree(PARENTS).deepest_confident(np.ones((1, 6)), confidence)


@pytest.mark.parametrize(
    ("parents", "error", "message"),
    [
        ({"a": None}, InvalidLabels, "label_tree.parents: at least 2 labels are needed, got 1"),
        ({"a": None, "b": None}, InvalidInput, "a label tree needs one root, and 2 labels have no parent"),
        ({"a": "b", "b": "a"}, InvalidInput, "the label 'a' is below itself"),
        ({"a": "x", "b": "x"}, InvalidLabels, "'a' hangs below 'x', which is no label"),
        ({"r": None, "a": "b", "b": "a"}, InvalidInput, "the label 'a' is below itself"),
        ({"r": None, "a": "x"}, InvalidLabels, "'a' hangs below 'x', which is no label"),
    ],
)
def test_what_is_no_tree_is_refused(parents, error, message):
    with pytest.raises(error) as refused:
        label_tree(parents)
    assert refused.value.message == message


def test_a_label_outside_the_tree_is_refused():
    with pytest.raises(InvalidLabels, match="the label 'eel' is not in the tree"):
        label_tree(PARENTS).masses(["eel"], np.array([[1.0]]))
