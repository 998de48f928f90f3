import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import LocalOutlierFactor

from memory_vectors import clustered_vectors, unit_vectors
from simila.classifiers.local_outliers import local_outlier_factors


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(3, 60), neighbours=st.integers(2, 12))
def test_factors_are_scikit_learns(seed, rows, neighbours):
    vectors = clustered_vectors(seed, rows, 8, clusters=2)
    reference = LocalOutlierFactor(n_neighbors=min(neighbours, rows - 1)).fit(vectors.astype(np.float64))
    np.testing.assert_allclose(
        local_outlier_factors(vectors, neighbours), -reference.negative_outlier_factor_, rtol=1e-6
    )


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_too_few_have_no_outlier(rows):
    assert local_outlier_factors(unit_vectors(0, rows, 4)).tolist() == [1.0] * rows
