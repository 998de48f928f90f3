"""Weights in 8 bits: what they are off by is within the bound that they come with."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_vectors import unit_vectors
from simila.classifiers.coded_weights import coded_weights


@given(
    seed=st.integers(0, 2**32 - 1),
    classes=st.integers(1, 20),
    dimension=st.sampled_from([1, 2, 33, 384]),
    size=st.sampled_from([1e-30, 1e-3, 1.0, 1e9]),
    offset=st.sampled_from([0.0, 10.0]),
    precision=st.sampled_from([np.float32, np.float64]),
)
def test_products_are_within_their_bound(seed, classes, dimension, size, offset, precision):
    random = np.random.default_rng(seed)
    weights = (size * (offset + random.normal(size=(classes, dimension)))).astype(precision)
    vectors = unit_vectors(seed, 5, dimension)
    coded = coded_weights(weights)
    scores, slack = coded.scores(vectors)
    exact = vectors.astype(np.float64) @ weights.astype(np.float64).T
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    assert (np.abs(scores - exact) <= lengths * coded.errors + slack).all()
    assert slack < size * (1 + offset) * dimension * 1e-3


def test_the_bound_of_unit_vectors_is_a_hundredth():
    coded = coded_weights(unit_vectors(0, 500, 384))
    scores, slack = coded.scores(unit_vectors(1, 5, 384))
    assert coded.errors.max() + slack < 0.013
    assert np.abs(scores - unit_vectors(1, 5, 384) @ unit_vectors(0, 500, 384).T).max() < 0.003


def test_what_all_classes_share_costs_no_precision():
    vectors = unit_vectors(0, 50, 384)
    shared = 100 * unit_vectors(1, 1, 384)
    assert coded_weights(vectors + shared).errors.max() < 1.01 * coded_weights(vectors).errors.max()


@pytest.mark.parametrize("weights", [np.zeros((3, 8)), np.tile(unit_vectors(0, 1, 8), (4, 1))])
def test_equal_weights_have_no_error(weights):
    coded = coded_weights(weights)
    scores, slack = coded.scores(unit_vectors(1, 2, 8))
    assert coded.errors.max() < 1e-7
    np.testing.assert_allclose(scores, unit_vectors(1, 2, 8) @ weights.T, atol=1e-6)
    assert slack < 1e-6


def test_no_vectors_have_no_scores():
    scores, _ = coded_weights(unit_vectors(0, 7, 8)).scores(np.empty((0, 8), np.float32))
    assert scores.shape == (0, 7)
