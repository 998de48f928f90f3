import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simila.domain.errors import InvalidVector
from simila.domain.vectors import given_vector, given_vectors, leading_dimensions, unit_rows
from tolerances import FLOAT32_VALUES

FLOAT32_MAX = float(np.finfo(np.float32).max)
SUBNORMAL = float(np.finfo(np.float32).smallest_subnormal)


@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e-30, SUBNORMAL, 5e-324, 1e30, FLOAT32_MAX / 4])
def test_the_length_of_a_given_vector_does_not_matter(scale):
    vector = given_vector([3 * scale, -4 * scale, 0], 3)
    assert vector.dtype == np.float32
    np.testing.assert_allclose(vector, [0.6, -0.8, 0], atol=FLOAT32_VALUES)


def test_the_largest_float32_are_taken():
    np.testing.assert_allclose(given_vector([FLOAT32_MAX] * 4, 4), [0.5] * 4, atol=FLOAT32_VALUES)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e39, -1e300])
def test_a_value_that_is_no_finite_float32_is_named(value):
    with pytest.raises(InvalidVector, match=r"^the value at position 2 is not a finite float32$"):
        given_vector([1, 0, value, float("nan")], 4)


@pytest.mark.parametrize("values", [[0, 0, 0], [0.0, -0.0, 0.0]])
def test_a_vector_of_zeros_has_no_direction(values):
    with pytest.raises(InvalidVector, match=r"^a vector of length zero has no direction$"):
        given_vector(values, 3)


@pytest.mark.parametrize("values", [[], [1, 2], [1, 2, 3, 4]])
def test_the_dimension_must_be_the_encoders(values):
    message = f"^the vector has {len(values)} dimensions; the encoder's vectors have 3$"
    with pytest.raises(InvalidVector, match=message):
        given_vector(values, 3)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_any_finite_vector_becomes_a_unit_vector_of_its_direction(values):
    if not any(values):
        return
    scaled = np.array(values) / np.abs(values).max()
    for given_values in (values, np.array(values, np.float32)):
        vector = given_vector(given_values, len(values)).astype(np.float64)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=FLOAT32_VALUES)
        np.testing.assert_allclose(vector, scaled / np.linalg.norm(scaled), atol=FLOAT32_VALUES)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_not_finite_is_named_in_an_array_too(value):
    with pytest.raises(InvalidVector, match=r"^the value at position 2 is not a finite float32$"):
        given_vector(np.array([1, 0, value, 0], np.float32), 4)


def test_an_array_of_unit_length_keeps_every_bit():
    unit = np.random.default_rng(1).normal(size=384).astype(np.float32)
    unit /= np.linalg.norm(unit)
    np.testing.assert_array_equal(given_vector(unit, 384), unit)


def test_rows_become_unit_and_zeros_stay():
    rows = unit_rows(np.array([[3, 4], [0, 0], [-2, 0]], dtype=np.float32))
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0], [-1, 0]], atol=FLOAT32_VALUES)


def test_leading_dimensions_are_unit_again_and_leave_the_whole_alone():
    vectors = unit_rows(np.array([[3, 4, 12], [0, 0, 1]], dtype=np.float32))
    before = vectors.copy()
    np.testing.assert_allclose(leading_dimensions(vectors, 2), [[0.6, 0.8], [0, 0]], atol=FLOAT32_VALUES)
    np.testing.assert_allclose(leading_dimensions(vectors, 1), [[1], [0]], atol=FLOAT32_VALUES)
    np.testing.assert_allclose(leading_dimensions(vectors, 3), before, atol=FLOAT32_VALUES)
    np.testing.assert_array_equal(vectors, before)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_given_vectors_are_those_given_one_by_one(dtype):
    scales = np.array([[1e-4], [1], [100]]) if dtype == np.float16 else np.array([[1e-30], [1], [1e30]])
    rows = (np.random.default_rng(5).normal(size=(3, 8)) * scales).astype(dtype)
    one_by_one = [given_vector(row.tolist(), 8) for row in rows]
    np.testing.assert_allclose(given_vectors(rows, 8, "items"), one_by_one, atol=FLOAT32_VALUES)


def test_vectors_of_unit_length_keep_every_bit():
    rows = unit_rows(np.random.default_rng(5).normal(size=(100, 384)).astype(np.float32))
    assert given_vectors(rows, 384, "items") is rows
    rows = np.vstack([rows, 2 * rows[:1]])
    np.testing.assert_array_equal(given_vectors(rows, 384, "items")[:100], rows[:100])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "items[1].vector: the value at position 0 is not a finite float32"),
        (np.inf, "items[1].vector: the value at position 0 is not a finite float32"),
        (1e39, "items[1].vector: the value at position 0 is not a finite float32"),
        (0, "items[1].vector: a vector of length zero has no direction"),
    ],
)
def test_the_first_bad_one_of_given_vectors_is_named(value, message):
    with pytest.raises(InvalidVector) as refused:
        given_vectors(np.array([[1.0, 0], [value, 0], [value, 0]]), 2, "items")
    assert (refused.value.message, refused.value.param) == (message, "items[1].vector")
