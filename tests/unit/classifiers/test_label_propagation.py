import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.semi_supervised import LabelSpreading

from memory_vectors import clustered_vectors, unit_vectors
from simila.classifiers import label_propagation
from simila.classifiers.label_propagation import propagated_labels, similarity_graph, zero_shot_seeds
from simila.classifiers.nearest_neighbours import Neighbours, find_neighbours
from simila.domain.errors import InvalidInput


def dense_affinity(vectors, k):
    """The graph as Zhou et al. 2004 write it: W, symmetric, without loops."""
    cosines = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    np.fill_diagonal(cosines, -np.inf)
    affinity = np.zeros_like(cosines)
    for row, near in enumerate(np.argsort(-cosines, axis=1)[:, :k]):
        affinity[row, near] = affinity[near, row] = np.maximum(cosines[row, near], 0)
    return affinity


def graph_of(vectors, k):
    return similarity_graph(find_neighbours(vectors, vectors, k, leave_one_out=True))


@pytest.mark.parametrize("terms_at_a_time", [1, 200, 2**22])
@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), spread=st.sampled_from([0.0, 0.5, 0.99]))
def test_labels_are_those_of_the_closed_form(terms_at_a_time, seed, spread):
    vectors = clustered_vectors(seed, 40, 10, clusters=3)
    seeds = np.zeros((40, 3))
    seeds[np.arange(6), np.arange(6) % 3] = 1
    affinity = dense_affinity(vectors, 5)
    scale = 1 / np.sqrt(np.maximum(affinity.sum(axis=1), 1e-300))
    expected = (1 - spread) * np.linalg.solve(np.eye(40) - spread * scale[:, np.newaxis] * affinity * scale, seeds)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(label_propagation, "_TERMS_AT_A_TIME", terms_at_a_time)
        propagated = propagated_labels(graph_of(vectors, 5), seeds, spread=spread, most_iterations=10_000)
    assert propagated.converged
    np.testing.assert_allclose(propagated.scores, expected, atol=1e-6)


def test_predictions_are_scikit_learns_label_spreading():
    vectors = clustered_vectors(0, 200, 16, clusters=4)
    classes = np.where(np.arange(200) < 20, np.arange(200) % 4, -1)
    affinity = dense_affinity(vectors, 8)
    reference = LabelSpreading(kernel=lambda *_: affinity, alpha=0.9, max_iter=10_000, tol=1e-10)
    reference.fit(vectors, classes)
    seeds = np.where(classes[:, np.newaxis] == np.arange(4), 1.0, 0.0)
    propagated = propagated_labels(graph_of(vectors, 8), seeds, spread=0.9)
    assert propagated.scores.argmax(axis=1).tolist() == reference.transduction_.tolist()


def test_labels_reach_along_a_crowd_what_is_nearer_to_another_seed():
    angles = np.concatenate([np.linspace(0, 2.4, 25), [3.0, 3.1, 3.2]])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    seeds = np.zeros((28, 2))
    seeds[0, 0] = seeds[-1, 1] = 1
    assert angles[24] - angles[0] > angles[-1] - angles[24]
    assert propagated_labels(graph_of(vectors, 2), seeds, spread=0.99).scores[24].argmax() == 0


def test_a_class_that_is_likely_everywhere_does_not_win_by_its_neighbours():
    vectors = clustered_vectors(3, 120, 8, clusters=2)
    first = vectors @ (vectors[0] - vectors[1]) > 0
    probabilities = np.where(first[:, np.newaxis], [0.9, 0.1], [0.7, 0.3])
    graph = graph_of(vectors, 5)
    assert np.ptp(propagated_labels(graph, probabilities).scores.argmax(axis=1)) == 0
    scores = propagated_labels(graph, zero_shot_seeds(probabilities), spread=0.3).scores
    assert np.mean((scores[:, 0] > scores[:, 1]) == first) > 0.9


def test_an_item_without_like_ones_keeps_its_seed():
    alone = Neighbours(np.array([[1, 2], [0, -1], [0, -1]]), np.array([[0.9, -0.2], [0.9, -np.inf], [-0.2, -np.inf]]))
    propagated = propagated_labels(similarity_graph(alone), np.array([[1.0], [0.0], [1.0]]), spread=0.5)
    np.testing.assert_allclose(propagated.scores[:, 0], [2 / 3, 1 / 3, 0.5], atol=1e-7)


def test_too_few_iterations_are_told():
    propagated = propagated_labels(graph_of(unit_vectors(0, 20, 4), 3), np.eye(20), most_iterations=2)
    assert (propagated.iterations, propagated.converged) == (2, False)


def test_what_cannot_spread_is_refused():
    graph = graph_of(unit_vectors(0, 4, 4), 2)
    with pytest.raises(InvalidInput, match="spread is 1; it must be at least 0 and below 1"):
        propagated_labels(graph, np.eye(4), spread=1)
    with pytest.raises(InvalidInput, match="3 seeds for a graph of 4 items"):
        propagated_labels(graph, np.eye(3))
