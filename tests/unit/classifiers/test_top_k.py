import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simila.classifiers.top_k import top_k_columns


@given(
    rows=st.lists(st.lists(st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0]), min_size=6, max_size=6), max_size=5),
    k=st.sampled_from([1, 2, 5, 6, 9, None]),
)
def test_the_best_are_a_stable_sorts(rows, k):
    scores = np.array(rows).reshape(-1, 6)
    expected = [sorted(range(6), key=lambda position: -row[position])[:k] for row in rows]
    assert top_k_columns(scores, k).tolist() == expected
