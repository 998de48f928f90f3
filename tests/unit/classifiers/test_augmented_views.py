import numpy as np
import pytest

from memory_vectors import unit_vectors
from simila.classifiers.augmented_views import average_views
from simila.domain.errors import InvalidInput
from tolerances import FLOAT32_VALUES


def test_views_are_averaged_by_input():
    views = np.stack([unit_vectors(seed, 4, 8) for seed in range(3)])
    averages = average_views(views)
    for item in range(4):
        total = sum(views[view, item].astype(np.float64) for view in range(3))
        np.testing.assert_allclose(averages[item], total / np.linalg.norm(total), atol=FLOAT32_VALUES)
    assert averages.dtype == np.float32


def test_one_view_is_the_input():
    vectors = unit_vectors(0, 4, 8)
    np.testing.assert_allclose(average_views(vectors[np.newaxis]), vectors, atol=FLOAT32_VALUES)


def test_no_view_is_refused():
    with pytest.raises(InvalidInput, match="at least one view is needed"):
        average_views(np.empty((0, 4, 8), dtype=np.float32))
