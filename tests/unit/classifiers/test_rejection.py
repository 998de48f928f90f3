import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_vectors import unit_vectors
from simila.classifiers.nearest_neighbours import find_neighbours
from simila.classifiers.rejection import kth_neighbour_cosine, maximum_logit, reject, rejection_threshold
from simila.domain.errors import InvalidInput


def test_the_maximum_logit_is_the_best_classs_score():
    assert maximum_logit(np.array([[1.0, 3.0], [-2.0, -5.0]])).tolist() == [3.0, -2.0]


def test_the_kth_neighbour_is_as_near_as_the_kth_largest_product():
    items, queries = unit_vectors(0, 30, 6), unit_vectors(1, 5, 6)
    np.testing.assert_allclose(
        kth_neighbour_cosine(find_neighbours(queries, items, 4)),
        np.sort(queries @ items.T, axis=1)[:, -4],
        atol=1e-6,
    )


@given(known=st.integers(1, 60), rate=st.sampled_from([0.0, 0.01, 0.05, 0.1, 0.29, 0.5, 0.9]))
def test_the_promise_holds_exactly_over_all_ranks_of_a_new_item(known, rate):
    """Of known + 1 exchangeable items each is as likely the new one: count those that the others' threshold rejects."""
    items = np.random.default_rng(known).permutation(known + 1).astype(np.float64)
    rejected = sum(items[new] < rejection_threshold(np.delete(items, new), rate) for new in range(known + 1))
    assert rejected <= rate * (known + 1) + 1e-9
    assert rejected > rate * (known + 1) - 1, "one more would break the promise"


def test_too_few_held_out_items_reject_nothing():
    assert rejection_threshold(np.arange(18.0), 0.05) == -np.inf
    assert rejection_threshold(np.arange(19.0), 0.05) == 0.0


def test_what_is_below_the_threshold_is_rejected_with_its_score():
    rejection = reject(np.array([0.1, 0.5, 0.9]), 0.5)
    assert rejection.rejected.tolist() == [True, False, False]
    assert rejection.familiarity.tolist() == [0.1, 0.5, 0.9]


@pytest.mark.parametrize("rate", [-0.1, 1.0, np.nan])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(InvalidInput, match="it must be at least 0 and below 1") as refused:
        rejection_threshold(np.arange(9.0), rate)
    assert refused.value.param == "false_rejection_rate"


def test_a_familiarity_that_is_no_number_is_refused():
    with pytest.raises(InvalidInput, match="a familiarity is no number"):
        rejection_threshold(np.array([0.1, np.nan]), 0.5)
