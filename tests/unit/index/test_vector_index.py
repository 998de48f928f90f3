"""Exact search against numpy."""

import numpy as np
import pytest

from simila.domain.vectors import unit_rows
from simila.index.vector_index import VectorIndex

COSINE_TOLERANCE = 1e-6
DIMENSION = 32


def random_units(count, seed):
    return unit_rows(np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32))


def index_of(vectors):
    index = VectorIndex(vectors.shape[1])
    index.add(np.arange(1, len(vectors) + 1), vectors)
    return index


# 200 queries take FAISS's path through BLAS, one does not.
@pytest.mark.parametrize("queries", [1, 3, 200])
@pytest.mark.parametrize("limit", [1, 10, 150])
def test_search_equals_brute_force(queries, limit):
    vectors, asked = random_units(500, seed=1), random_units(queries, seed=2)
    scores, sequences = index_of(vectors).search(asked, limit)
    cosines = asked.astype(np.float64) @ vectors.astype(np.float64).T
    expected = np.argsort(-cosines, axis=1)[:, :limit]
    assert sequences.tolist() == (expected + 1).tolist()
    np.testing.assert_allclose(scores, np.take_along_axis(cosines, expected, axis=1), atol=COSINE_TOLERANCE)


def test_removed_vectors_are_not_found():
    vectors = random_units(100, seed=3)
    index = index_of(vectors)
    index.remove(np.array([1, 50, 100, 999]))
    assert len(index) == 97
    _, sequences = index.search(vectors[:1], 100)
    assert sorted(sequences[0].tolist()) == [n for n in range(1, 101) if n not in {1, 50, 100}]


def test_nothing_to_remove_is_no_error():
    index = index_of(random_units(2, seed=3))
    index.remove(np.array([], dtype=np.int64))
    assert len(index) == 2


def test_excluded_sequences_leave_room_for_others():
    vectors = random_units(20, seed=4)
    _, sequences = index_of(vectors).search(vectors[4:5], 3, excluded=[5])
    order = np.argsort(-(vectors @ vectors[4])) + 1
    assert sequences[0].tolist() == order[1:4].tolist()


def test_fewer_than_asked_for_end_in_minus_one():
    scores, sequences = index_of(np.eye(3, dtype=np.float32)).search(np.eye(3, dtype=np.float32)[:1], 5, excluded=[2])
    assert sequences.tolist() == [[1, 3, -1]]
    assert scores.tolist() == [[1.0, 0.0, -np.inf]]


def test_an_empty_index_finds_nothing():
    scores, sequences = VectorIndex(4).search(np.eye(4, dtype=np.float32)[:2], 5)
    assert scores.shape == sequences.shape == (2, 0)
    assert VectorIndex(4).vectors(np.array([], dtype=np.int64)).shape == (0, 4)


def test_equal_cosines_go_from_the_oldest():
    index = VectorIndex(2)
    index.add(np.array([7, 3, 9, 5]), np.array([[1, 0], [1, 0], [0, 1], [1, 0]], dtype=np.float32))
    assert index.search(np.array([[1, 0]], dtype=np.float32), 4)[1].tolist() == [[3, 5, 7, 9]]


def test_vectors_are_kept_bit_for_bit():
    vectors = random_units(10, seed=5)
    assert index_of(vectors).vectors(np.array([3, 1])).tobytes() == vectors[[2, 0]].tobytes()
