"""Vectors as points of a plane."""

import numpy as np
from sklearn.decomposition import PCA

from simila.classifiers.plane import PlaneFit

RNG = np.random.default_rng(0)
# Three clear directions of unlike spread, so that the first two are certain.
VECTORS = (RNG.normal(size=(600, 8)) * [9, 5, 2, 1, 1, 1, 1, 1]).astype(np.float32)


def test_places_are_those_of_scikit_learn_up_to_the_sign_of_an_axis() -> None:
    fit = PlaneFit(8)
    for chunk in np.array_split(VECTORS, 5):
        fit.add(chunk)
    plane = fit.plane()

    expected = PCA(2, svd_solver="full").fit_transform(VECTORS)
    np.testing.assert_allclose(np.abs(plane.places(VECTORS)), np.abs(expected), atol=1e-3)


def test_a_later_vector_is_placed_by_the_same_axes() -> None:
    fit = PlaneFit(8)
    fit.add(VECTORS)
    plane = fit.plane()
    np.testing.assert_allclose(plane.places(VECTORS[:1]), plane.places(VECTORS)[:1], atol=1e-5)


def test_axes_have_one_sign_whatever_the_solver_gives() -> None:
    fit, mirrored = PlaneFit(8), PlaneFit(8)
    fit.add(VECTORS)
    mirrored.add(-VECTORS)
    np.testing.assert_allclose(fit.plane().axes, mirrored.plane().axes, atol=1e-5)
