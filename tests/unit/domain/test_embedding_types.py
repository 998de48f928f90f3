"""Types of vectors against sentence-transformers' own packing, and against what a decoder gets back."""

import numpy as np
import pytest
from sentence_transformers.util.quantization import quantize_embeddings

from simila.domain.embedding_types import in_type

RANDOM = np.random.default_rng(0)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


VECTORS = unit(RANDOM.normal(size=(200, 384)))


@pytest.mark.parametrize("embedding_type", ["binary", "ubinary"])
def test_bits_are_packed_as_sentence_transformers_packs_them(embedding_type):
    packed = in_type(VECTORS, embedding_type)
    expected = quantize_embeddings(VECTORS, precision=embedding_type)
    np.testing.assert_array_equal(packed, expected)
    assert packed.dtype == expected.dtype


def test_bits_past_the_last_dimension_are_zero():
    assert in_type(np.array([[0.6, -0.8, 0.0, 1, 1, 1, 1, 1, 1, -1]], np.float32), "ubinary").tolist() == [
        [0b10011111, 0b10000000]
    ]


def test_int8_is_scaled_to_the_largest_value_of_each_vector():
    rows = np.array([[0.8, -0.6, 0.0], [0.01, 0.01, -0.99]], np.float32)
    assert in_type(rows, "int8").tolist() == [[127, -95, 0], [1, 1, -127]]


@pytest.mark.parametrize(("embedding_type", "least_cosine"), [("float16", 0.999999), ("int8", 0.9999)])
def test_direction_survives(embedding_type, least_cosine):
    decoded = unit(in_type(VECTORS, embedding_type).astype(np.float64))
    assert (decoded * VECTORS).sum(1).min() > least_cosine


def test_a_failed_inputs_row_of_zeros_stays_zero():
    assert not in_type(np.zeros((1, 16), np.float32), "int8").any()


def test_float_is_what_was_computed():
    np.testing.assert_array_equal(in_type(VECTORS, "float"), VECTORS)
