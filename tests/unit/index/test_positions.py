import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simila.index.positions import positions_of

SEQUENCES = st.sets(st.integers(-5, 60), max_size=40)


@given(wanted=SEQUENCES, sequences=SEQUENCES, gap=st.sampled_from([1, 1000]))
def test_positions_are_where_the_sequences_lie(wanted: set[int], sequences: set[int], gap: int) -> None:
    here = np.array(sorted(sequences), dtype=np.int64) * gap

    found = positions_of(np.array(sorted(wanted), dtype=np.int64) * gap, here)

    assert (here[found] // gap).tolist() == sorted(wanted & sequences)


@pytest.mark.parametrize("step", [1, 50])
def test_few_and_many_of_a_long_list_are_found(step: int) -> None:
    sequences = np.arange(0, 3000, 3)

    found = positions_of(np.arange(0, 3000, step), sequences)

    assert sequences[found].tolist() == [wanted for wanted in range(0, 3000, step) if wanted % 3 == 0]
