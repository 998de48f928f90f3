"""Clusters, compared with scikit-learn's."""

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from simila.index.clusters import cluster_centres, nearest_centres

RNG = np.random.default_rng(3)
CENTRES = RNG.normal(size=(4, 16)) * 3
TRUTH = np.repeat(np.arange(4), [90, 60, 40, 10])
VECTORS = (CENTRES[TRUTH] + RNG.normal(size=(200, 16))).astype(np.float32)


def test_clusters_are_those_of_scikit_learn_the_largest_first() -> None:
    centres = cluster_centres(VECTORS, 4)
    found = nearest_centres(VECTORS, centres)
    assert np.bincount(found).tolist() == [90, 60, 40, 10]
    expected = KMeans(4, n_init=5, random_state=0).fit(VECTORS)
    assert adjusted_rand_score(expected.labels_, found) == 1
    np.testing.assert_allclose(np.sort(centres, axis=0), np.sort(expected.cluster_centers_, axis=0), atol=1e-4)


def test_the_same_vectors_make_the_same_clusters() -> None:
    assert cluster_centres(VECTORS, 3).tobytes() == cluster_centres(VECTORS, 3).tobytes()


def test_one_vector_is_a_cluster() -> None:
    np.testing.assert_array_equal(cluster_centres(VECTORS[:1], 1), VECTORS[:1])
