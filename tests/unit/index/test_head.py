import numpy as np
import pytest

from memory_vectors import brute_force, unit_vectors
from simila.index.head import CHUNK_ROWS, Head
from simila.index.row_mask import RowMask

DIMENSION = 8


def head_of(rows: int, seed: int = 0) -> tuple[Head, dict[int, np.ndarray]]:
    vectors = unit_vectors(seed, rows, DIMENSION)
    sequences = np.arange(1, rows + 1) * 3
    return Head(DIMENSION).appended(sequences, vectors), dict(zip(sequences.tolist(), vectors, strict=True))


@pytest.mark.parametrize("rows", [1, 100, CHUNK_ROWS, 2 * CHUNK_ROWS + 5])
def test_finds_what_brute_force_finds(rows: int) -> None:
    head, truth = head_of(rows)
    queries = unit_vectors(1, 3, DIMENSION)

    found = head.search(queries, 10, RowMask.all_of(rows))

    for query, scores, sequences in zip(queries, found.scores, found.sequences, strict=True):
        expected, cosines = brute_force(truth, query, 10)
        assert sequences[: len(expected)].tolist() == expected
        np.testing.assert_allclose(scores[: len(expected)], cosines, atol=1e-6)
        assert (sequences[len(expected) :] == -1).all()
        assert np.isneginf(scores[len(expected) :]).all()


def test_a_snapshot_keeps_its_rows_while_others_append() -> None:
    first, _ = head_of(100)
    kept = first.search(unit_vectors(1, 1, DIMENSION), 100, RowMask.all_of(100))

    one = first.appended(np.array([1001]), unit_vectors(2, 1, DIMENSION))
    other = first.appended(np.array([1002]), unit_vectors(3, 1, DIMENSION))

    assert one.sequences()[-1] == 1001
    assert other.sequences()[-1] == 1002
    again = first.search(unit_vectors(1, 1, DIMENSION), 100, RowMask.all_of(100))
    assert again.sequences.tolist() == kept.sequences.tolist()
    nearest = one.search(unit_vectors(2, 1, DIMENSION), 1, RowMask.all_of(101))
    assert nearest.sequences.tolist() == [[1001]]


def test_appending_shares_the_vectors_of_full_chunks() -> None:
    head, _ = head_of(CHUNK_ROWS + 10)

    longer = head.appended(np.array([10**6]), unit_vectors(2, 1, DIMENSION))

    assert longer._chunks[0] is head._chunks[0]


def test_rows_outside_the_mask_are_not_found() -> None:
    head, truth = head_of(CHUNK_ROWS + 100)
    query = unit_vectors(1, 1, DIMENSION)
    positions = np.array([3, 70, CHUNK_ROWS + 1])

    found = head.search(query, 5, RowMask.only(positions, head.rows))

    expected, _ = brute_force({sequence: truth[sequence] for sequence in ((positions + 1) * 3).tolist()}, query[0], 5)
    assert found.sequences.tolist() == [[*expected, -1, -1]]


def test_a_head_of_some_rows_has_those_rows() -> None:
    head, _ = head_of(CHUNK_ROWS + 100)

    kept = head.keeping(np.array([0, 5, CHUNK_ROWS + 99]))

    assert kept.sequences().tolist() == [3, 18, (CHUNK_ROWS + 100) * 3]
    query = unit_vectors(0, CHUNK_ROWS + 100, DIMENSION)[-1:]
    assert kept.search(query, 1, RowMask.all_of(3)).sequences.tolist() == [[(CHUNK_ROWS + 100) * 3]]


def test_positions_are_of_the_sequences_that_are_there() -> None:
    head, _ = head_of(CHUNK_ROWS + 100)

    assert head.positions(np.array([1, 3, 4, 6, (CHUNK_ROWS + 1) * 3, 10**9])).tolist() == [0, 1, CHUNK_ROWS]


def test_equal_cosines_come_by_the_lower_sequence() -> None:
    same = np.tile(unit_vectors(0, 1, DIMENSION), (50, 1))
    head = Head(DIMENSION).appended(np.arange(1, 51), same)

    assert head.search(same[:1], 5, RowMask.all_of(50)).sequences.tolist() == [[1, 2, 3, 4, 5]]


def test_an_empty_head_finds_nothing() -> None:
    assert (
        Head(DIMENSION).search(unit_vectors(0, 2, DIMENSION), 3, RowMask.all_of(0)).sequences.tolist() == [[-1] * 3] * 2
    )
