import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simila.index.row_mask import RowMask


@given(rows=st.integers(0, 40), steps=st.lists(st.one_of(st.integers(1, 20), st.sets(st.integers(0, 60))), max_size=6))
def test_a_mask_is_the_set_of_its_rows(rows: int, steps: list[int | set[int]]) -> None:
    mask, expected, total = RowMask.all_of(rows), set(range(rows)), rows
    for step in steps:
        if isinstance(step, int):
            mask, expected, total = mask.longer(step), expected | set(range(total, total + step)), total + step
        else:
            here = np.array(sorted(row for row in step if row < total), dtype=np.int64)
            mask, expected = mask.without(here), expected - step
    assert mask.positions().tolist() == sorted(expected)
    assert (mask.count, mask.rows) == (len(expected), total)
    assert mask.having(np.arange(total)).tolist() == sorted(expected)


@pytest.mark.parametrize("rows", [1, 8, 13])
def test_a_mask_of_some_rows_grows(rows: int) -> None:
    assert RowMask.only(np.array([0]), rows).longer(9).positions().tolist() == [0, *range(rows, rows + 9)]


def test_a_part_has_the_rows_from_its_start() -> None:
    mask = RowMask.only(np.array([1, 8, 11, 20]), 24)

    part = mask.part(8, 12)

    assert part.positions().tolist() == [0, 3]
    assert part.count == 2


def test_the_selector_agrees_with_faiss() -> None:
    selector = RowMask.only(np.array([1, 8, 11]), 20).selector()

    assert isinstance(selector, faiss.IDSelectorBitmap)
    assert [row for row in range(20) if selector.is_member(row)] == [1, 8, 11]


def test_a_full_mask_needs_no_selector() -> None:
    assert RowMask.all_of(20).selector() is None
