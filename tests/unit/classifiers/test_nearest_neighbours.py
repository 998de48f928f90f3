"""k nearest neighbours against scikit-learn, item by item."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from memory_vectors import brute_force, clustered_vectors, unit_vectors
from simila.classifiers import nearest_neighbours
from simila.classifiers.nearest_neighbours import Neighbours, class_cosines, find_neighbours, neighbour_votes
from simila.domain.errors import InvalidInput, NoExamples
from simila.domain.vectors import unit_rows


def weights_by_distance(distances):
    return np.exp((1 - distances) / 0.07)


@pytest.mark.parametrize(("temperature", "weights"), [(0.07, weights_by_distance), (None, "uniform")])
@pytest.mark.parametrize("k", [1, 5, 30])
def test_votes_are_scikit_learns_probabilities(k, temperature, weights):
    items, queries = clustered_vectors(0, 300, 16, clusters=6), clustered_vectors(1, 80, 16, clusters=6)
    classes = np.random.default_rng(2).integers(0, 4, 300)
    reference = KNeighborsClassifier(k, metric="cosine", weights=weights, algorithm="brute")
    reference.fit(items.astype(np.float64), classes)
    votes = neighbour_votes(find_neighbours(queries, items, k), classes, 4, temperature=temperature)
    np.testing.assert_allclose(votes, reference.predict_proba(queries.astype(np.float64)), atol=1e-5)
    assert votes.argmax(axis=1).tolist() == reference.predict(queries.astype(np.float64)).tolist()


def test_leave_one_out_is_scikit_learns_on_digits(monkeypatch):
    monkeypatch.setattr(nearest_neighbours, "_ROWS_AT_A_TIME", 70)
    table, digits = load_digits(return_X_y=True)
    vectors = unit_rows(table[:300].astype(np.float32))
    reference = KNeighborsClassifier(5, metric="cosine", weights=weights_by_distance, algorithm="brute")
    expected = cross_val_predict(reference, vectors.astype(np.float64), digits[:300], cv=LeaveOneOut())
    neighbours = find_neighbours(vectors, vectors, 5, leave_one_out=True)
    assert neighbour_votes(neighbours, digits[:300], 10).argmax(axis=1).tolist() == expected.tolist()


def test_neighbours_are_those_of_brute_force_and_equal_ones_keep_their_order():
    items = np.concatenate([unit_vectors(0, 30, 6)] * 2)
    queries = unit_vectors(1, 9, 6)
    found = find_neighbours(queries, items, 7)
    for row, query in enumerate(queries):
        expected, cosines = brute_force(dict(enumerate(items)), query, 7)
        assert found.positions[row].tolist() == expected
        np.testing.assert_allclose(found.cosines[row], cosines, atol=1e-6)


def test_fewer_items_than_k_leave_places_empty():
    items = unit_vectors(0, 3, 4)
    found = find_neighbours(items, items, 4, leave_one_out=True)
    assert found.positions[:, 2:].tolist() == [[-1, -1]] * 3
    assert np.isneginf(found.cosines[:, 2:]).all()
    votes = neighbour_votes(found, np.array([0, 1, 1]), 2, temperature=None)
    assert votes.tolist() == [[0, 1], [0.5, 0.5], [0.5, 0.5]]


def test_a_vector_without_neighbours_has_no_votes():
    nobody = Neighbours(np.array([[-1, -1]]), np.array([[-np.inf, -np.inf]]))
    assert neighbour_votes(nobody, np.array([0, 1]), 2).tolist() == [[0, 0]]
    assert class_cosines(nobody, np.array([0, 1]), 2).tolist() == [[-1, -1]]


def test_a_small_temperature_is_the_nearest_alone():
    neighbours = Neighbours(np.array([[0, 1, 2]]), np.array([[0.9, 0.8, 0.7]]))
    assert neighbour_votes(neighbours, np.array([1, 0, 0]), 2, temperature=1e-5).tolist() == [[0, 1]]


def test_class_cosines_are_those_of_each_classs_nearest():
    neighbours = Neighbours(np.array([[2, 0, 1]]), np.array([[0.9, 0.8, -0.2]]))
    assert class_cosines(neighbours, np.array([0, 1, 0]), 3).tolist() == [[0.9, -0.2, -1.0]]


def test_what_has_no_neighbours_is_refused():
    one = unit_vectors(0, 1, 4)
    with pytest.raises(InvalidInput, match="k is 0; at least one neighbour is needed"):
        find_neighbours(one, one, 0)
    with pytest.raises(NoExamples, match="1 items are too few to have neighbours"):
        find_neighbours(one, one, 1, leave_one_out=True)
    with pytest.raises(NoExamples, match="0 items are too few"):
        find_neighbours(one, one[:0], 1)
    with pytest.raises(InvalidInput, match=r"the temperature is 0; it must be above 0"):
        neighbour_votes(find_neighbours(one, one, 1), np.array([0]), 1, temperature=0)
