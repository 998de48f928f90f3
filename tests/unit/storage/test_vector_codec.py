"""Vectors as bytes."""

import zlib

import numpy as np
import pytest

from simila.domain.vectors import unit_rows
from simila.storage.vector_codec import VectorCodec


def rows(count, dimension):
    return unit_rows(np.random.default_rng(0).normal(size=(count, dimension)).astype(np.float32))


def test_float32_comes_back_bit_by_bit():
    vectors = rows(5, 7)
    codec = VectorCodec(7, "float32")
    assert codec.row_bytes == 28
    assert codec.encoded(vectors) == vectors.astype("<f4").tobytes()
    assert codec.decoded(codec.encoded(vectors)).tobytes() == vectors.tobytes()


def test_float16_takes_half_and_comes_back_at_unit_length():
    vectors = rows(50, 64)
    codec = VectorCodec(64, "float16")
    content = codec.encoded(vectors)
    assert len(content) == 50 * codec.row_bytes == 50 * 128
    decoded = codec.decoded(content)
    assert decoded.dtype == np.float32
    assert np.linalg.norm(decoded, axis=1) == pytest.approx(np.ones(50), abs=1e-6)
    assert (decoded * vectors).sum(axis=1).min() > 0.99999


@pytest.mark.parametrize("dimension", [3, 1024, 1025, 4096])
def test_each_vector_has_its_crc32(dimension):
    vectors = rows(3, dimension)
    codec = VectorCodec(dimension, "float32")
    assert codec.checksums(codec.encoded(vectors)) == [zlib.crc32(row.tobytes()) for row in vectors]


def test_a_column_major_array_is_written_by_row():
    vectors = np.asfortranarray(rows(4, 3))
    codec = VectorCodec(3, "float32")
    assert np.array_equal(codec.decoded(codec.encoded(vectors)), vectors)
