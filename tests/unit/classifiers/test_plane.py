"""Vectors as points of a plane."""

import numpy as np
from sklearn.decomposition import PCA

from simila.classifiers.plane import PlaneFit, nearest_cosines

RNG = np.random.default_rng(0)
# Three clear directions of unlike spread, so that the first two are certain.
VECTORS = (RNG.normal(size=(600, 8)) * [9, 5, 2, 1, 1, 1, 1, 1]).astype(np.float32)


def test_places_are_those_of_scikit_learn_up_to_the_sign_of_an_axis() -> None:
    fit = PlaneFit(8)
    for chunk in np.array_split(VECTORS, 5):
        fit.add(chunk)
    fit.finish()

    expected = PCA(2, svd_solver="full").fit_transform(VECTORS)
    np.testing.assert_allclose(np.abs(fit.places(VECTORS)), np.abs(expected), atol=1e-3)


def test_a_later_vector_is_placed_by_the_same_axes() -> None:
    fit = PlaneFit(8)
    fit.add(VECTORS)
    fit.finish()
    np.testing.assert_allclose(fit.places(VECTORS[:1]), fit.places(VECTORS)[:1], atol=1e-5)


def test_the_nearest_other_is_never_the_vector_itself() -> None:
    unit = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    many = np.concatenate([unit, unit[:1], -unit[:700]])
    expected = np.array([max(np.delete(many, n, axis=0) @ many[n]) for n in range(len(many))])
    np.testing.assert_allclose(nearest_cosines(many), expected, atol=1e-5)
    assert nearest_cosines(unit[:1]).tolist() == [-1]
