"""Which rows go together next."""

from itertools import chain
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from simila.engine.waiting_rows import FREE_PADDING, MOST_PADDING_SHARE, BatchLimits, WaitingRow, WaitingRows

WIDE = BatchLimits(items=100, padded_length=100_000)
LENGTHS = st.lists(st.integers(1, 256), min_size=1, max_size=12)


def waiting(*requests):
    rows = WaitingRows()
    made = [SimpleNamespace(is_abandoned=False) for _ in requests]
    for request, lengths in zip(made, requests, strict=True):
        rows.add(request, [WaitingRow(length, length, request, n) for n, length in enumerate(lengths)])
    return rows, made


def taken(rows, limits):
    batches = []
    while batch := rows.take(limits):
        batches.append([row.length for row in batch])
    return batches


def test_nobody_waits():
    rows, _ = waiting()
    assert rows.take(WIDE) == []
    assert len(rows) == 0


def test_requests_take_turns():
    rows, _ = waiting([1] * 3, [100], [200] * 2)
    assert taken(rows, BatchLimits(1, 1000)) == [[1], [100], [200], [1], [200], [1]]


def test_the_nearest_lengths_come_first():
    rows, _ = waiting([50], [90, 49, 53, 52, 50])
    assert taken(rows, BatchLimits(4, 1000))[0] == [50, 50, 49, 52]


def test_a_batch_is_not_padded_beyond_its_share():
    rows, _ = waiting([10], [100], [11], [26])
    assert taken(rows, WIDE) == [[10, 11], [100], [26]]


def test_a_batch_ends_where_its_rows_would_get_dearer():
    lengths = [10] * 9 + [11] + [40] * 2
    # Nine of 10: (22 + 90) / 90 = 1.244. With the 11: (22 + 110) / 101 = 1.307, so that one is left to others.
    rows, _ = waiting(lengths)
    assert taken(rows, BatchLimits(100, 100_000, start_length=22)) == [[10] * 9, [11], [40] * 2]
    # As a batch costs more to begin, the 11 is worth its padding: (44 + 110) / 101 = 1.525 against 1.489; (200 + 110)
    # / 101 = 3.07 against 3.22.
    rows, _ = waiting(lengths)
    assert taken(rows, BatchLimits(100, 100_000, start_length=200))[0] == [10] * 9 + [11]


def test_rows_of_one_length_never_get_dearer_together():
    rows, _ = waiting([7] * 50)
    assert taken(rows, BatchLimits(32, 100_000, start_length=22)) == [[7] * 32, [7] * 18]


def test_rows_that_nobody_waits_for_are_dropped():
    rows, (_, leaves, _) = waiting([5], [5, 5], [5])
    leaves.is_abandoned = True
    batch = rows.take(WIDE)
    assert [row.request is leaves for row in batch] == [False, False]
    assert (len(rows), rows.take(WIDE)) == (0, [])


def test_taking_all_empties_it():
    rows, _ = waiting([1, 200], [3])
    assert sorted(row.length for row in rows.take_all()) == [1, 3, 200]
    assert len(rows) == 0


@given(
    st.lists(LENGTHS, min_size=1, max_size=8),
    st.builds(BatchLimits, st.integers(1, 9), st.integers(1, 600), st.none() | st.integers(0, 100)),
)
def test_every_row_is_taken_once_within_the_limits_and_every_request_has_its_turn(requests, limits):
    rows, made = waiting(*requests)
    batches = []
    while batch := rows.take(limits):
        batches.append(batch)
        assert len(rows) == sum(map(len, requests)) - sum(map(len, batches))
    assert sorted(row.length for batch in batches for row in batch) == sorted(chain.from_iterable(requests))
    for batch in batches:
        lengths = [row.length for row in batch]
        padded = max(lengths) * len(lengths)
        assert len(batch) <= limits.items
        assert len(batch) == 1 or padded <= limits.padded_length
        assert len(batch) == 1 or padded - sum(lengths) <= FREE_PADDING + MOST_PADDING_SHARE * sum(lengths)
        if limits.start_length is not None:
            alone = (limits.start_length + lengths[0]) / lengths[0]
            assert (limits.start_length + padded) / sum(lengths) <= alone * (1 + 1e-12)
    first_turns = batches[: len(made)]
    assert {id(row.request) for batch in first_turns for row in batch} == {id(request) for request in made}
