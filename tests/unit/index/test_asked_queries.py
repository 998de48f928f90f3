"""The newest queries are kept, and now and then it is time to tune on them."""

import numpy as np

from memory_vectors import unit_vectors
from simila.index.asked_queries import AskedQueries
from simila.storage.collection_file import CollectionSpec
from small_collections import ENCODER

SPEC = CollectionSpec.new("c", dimension=4, **ENCODER)


def test_the_newest_256_are_kept():
    queries, vectors = AskedQueries(SPEC, None), unit_vectors(1, 300, 4)
    queries.add(vectors[:290])
    queries.add(vectors[290:])
    kept = queries.vectors()
    assert len(kept) == 256
    np.testing.assert_array_equal(kept[-10:], vectors[290:])
    queries.clear()
    assert queries.vectors().shape == (0, 4)


def test_tuning_becomes_rare():
    queries, one = AskedQueries(SPEC, None), unit_vectors(1, 1, 4)
    assert [count for count in range(1, 10_000) if queries.add(one)] == [256, 256 * 16]


def test_synthetic_queries_stand_beside_them():
    synthetic, asked = unit_vectors(2, 3, 4), unit_vectors(3, 2, 4)
    queries = AskedQueries(SPEC, lambda spec: synthetic if spec is SPEC else None)
    queries.add(asked)
    np.testing.assert_array_equal(queries.vectors(), np.concatenate([asked, synthetic]))
