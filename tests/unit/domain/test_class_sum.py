"""Sums that forget: nothing of a removed vector stays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_vectors import unit_vectors
from simila.domain.class_sum import LARGEST_VALUE, MOST_ITEMS_A_CLASS, ClassSum, fixed_point
from simila.domain.errors import InvalidInput, InvalidVector, LimitExceeded, NoExamples
from tolerances import FLOAT64_VALUES

DIMENSION = 7


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 300))
def test_the_mean_is_the_one_of_float64(seed, rows):
    vectors = unit_vectors(seed, rows, DIMENSION)
    total = ClassSum.empty(DIMENSION).added(vectors)
    np.testing.assert_allclose(total.mean(), vectors.astype(np.float64).mean(axis=0), rtol=0, atol=FLOAT64_VALUES)


@pytest.mark.parametrize("value", [0.99 * 2.0**-41, 0.99 * 2.0**-39, -1.01 * 2.0**-40, 1e-20])
def test_values_finer_than_the_fixed_point_move_the_mean_by_half_a_unit_at_most(value):
    vectors = np.full((1000, 3), value, dtype=np.float32)
    expected = vectors[0].astype(np.float64)
    np.testing.assert_allclose(ClassSum.empty(3).added(vectors).mean(), expected, rtol=0, atol=2.0**-41)


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 40))
def test_any_order_of_adding_and_removing_leaves_the_bytes_of_what_remains(seed, rows):
    random = np.random.default_rng(seed)
    vectors = unit_vectors(seed, rows, DIMENSION)
    kept = random.random(rows) < 0.5
    total = ClassSum.empty(DIMENSION)
    for row in random.permutation(rows):
        total = total.added(vectors[row : row + 1])
    for row in random.permutation(np.flatnonzero(~kept)):
        total = total.removed(vectors[row : row + 1])
    assert total.to_bytes() == ClassSum.empty(DIMENSION).added(vectors[kept]).to_bytes()


def test_the_most_items_of_the_largest_values_are_within_an_int64():
    (unit,) = fixed_point(np.array([[LARGEST_VALUE]], dtype=np.float32))[0].tolist()
    assert unit * MOST_ITEMS_A_CLASS < 2**63
    full = ClassSum(MOST_ITEMS_A_CLASS, np.array([unit * MOST_ITEMS_A_CLASS]))
    assert full.mean().tolist() == [LARGEST_VALUE]
    with pytest.raises(LimitExceeded, match="a class of 8388481 items is more than the 8388480"):
        full.added(np.zeros((1, 1), dtype=np.float32))


@pytest.mark.parametrize("value", [1.001, -1.001, np.nan, np.inf])
def test_what_is_no_value_of_a_unit_vector_is_refused(value):
    vectors = np.array([[0.5, value]], dtype=np.float32)
    with pytest.raises(InvalidVector, match="only unit vectors can be summed"):
        ClassSum.empty(2).added(vectors)


def test_more_than_there_is_cannot_be_removed():
    vectors = unit_vectors(0, 2, DIMENSION)
    with pytest.raises(InvalidInput, match="2 vectors cannot be taken out of a sum of 1 that lacks them"):
        ClassSum.empty(DIMENSION).added(vectors[:1]).removed(vectors)


def test_the_last_vector_out_must_be_one_that_went_in():
    one, other = unit_vectors(0, 2, DIMENSION)[:, np.newaxis]
    with pytest.raises(InvalidInput, match="1 vectors cannot be taken out of a sum of 1"):
        ClassSum.empty(DIMENSION).added(one).removed(other)


def test_nothing_has_no_mean():
    with pytest.raises(NoExamples, match="a class without items has no mean"):
        ClassSum.empty(DIMENSION).mean()


def test_bytes_are_read_back():
    total = ClassSum.empty(DIMENSION).added(unit_vectors(3, 5, DIMENSION))
    read = ClassSum.from_bytes(total.to_bytes(), DIMENSION)
    assert (read.count, read.units.tolist()) == (5, total.units.tolist())
    assert read.removed(unit_vectors(3, 5, DIMENSION)).units.tolist() == [0] * DIMENSION


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bytes(16), "16 bytes are no class sum of 2 dimensions"),
        (b"\xff" * 24, "a class sum cannot be of -1 items"),
    ],
)
def test_bytes_that_are_no_sum_are_refused(content, message):
    with pytest.raises(InvalidInput, match=message):
        ClassSum.from_bytes(content, 2)
