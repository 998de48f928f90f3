import numpy as np

from memory_vectors import MemoryVectors, brute_force, unit_vectors
from simila.index.view import View

DIMENSION = 8
NOTHING = np.empty((0, DIMENSION), np.float32)


def flat_view(rows: int) -> tuple[View, MemoryVectors]:
    vectors, sequences = unit_vectors(0, rows, DIMENSION), np.arange(1, rows + 1)
    return View.empty(DIMENSION).with_changes(sequences, vectors), MemoryVectors(sequences, vectors)


def found_by(view: View, stored: MemoryVectors, k: int, **options: object) -> list[int]:
    neighbours, _ = view.search(unit_vectors(1, 1, DIMENSION), k, stored, **options)  # type: ignore[arg-type]
    return [sequence for sequence in neighbours.sequences[0].tolist() if sequence >= 0]


def expected_of(stored: MemoryVectors, sequences: set[int], k: int) -> list[int]:
    return brute_force({sequence: stored[sequence] for sequence in sequences}, unit_vectors(1, 1, DIMENSION)[0], k)[0]


def test_an_empty_view_finds_nothing() -> None:
    view = View.empty(DIMENSION)

    assert len(view) == 0
    assert found_by(view, MemoryVectors(np.empty(0, np.int64), NOTHING), 3) == []


def test_what_is_removed_is_found_no_more_and_the_older_view_still_finds_it() -> None:
    view, stored = flat_view(200)
    best = found_by(view, stored, 1)

    less = view.with_changes(np.empty(0, np.int64), NOTHING, np.array([*best, 10**6]))

    assert found_by(less, stored, 3) == expected_of(stored, set(stored) - set(best), 3)
    assert found_by(view, stored, 1) == best
    assert (len(view), len(less)) == (200, 199)


def test_what_is_added_and_removed_in_one_change_is_not_there() -> None:
    view, stored = flat_view(20)

    changed = view.with_changes(np.array([21, 22]), unit_vectors(1, 2, DIMENSION), np.array([21]))

    assert changed.sequences().tolist() == [*range(1, 21), 22]
    assert 21 not in found_by(changed, stored, 30)


def test_only_the_allowed_and_never_the_excluded_are_found() -> None:
    view, stored = flat_view(200)
    allowed = np.arange(10, 200, 3)

    found = found_by(view, stored, 100, allowed=allowed, excluded=np.array([13, 13, 10**6]))

    assert found == expected_of(stored, set(allowed.tolist()) - {13}, 100)


def test_a_head_of_mostly_dead_rows_is_cleared() -> None:
    view, stored = flat_view(4000)

    rest = view.with_changes(np.empty(0, np.int64), NOTHING, np.arange(1, 3500))

    assert (rest.head_rows, rest.deleted_rows, len(rest)) == (501, 0, 501)
    assert found_by(rest, stored, 5) == expected_of(stored, set(range(3500, 4001)), 5)


def test_a_flat_search_says_how_many_rows_it_compared() -> None:
    view, stored = flat_view(50)

    _, account = view.search(unit_vectors(1, 1, DIMENSION), 3, stored)

    assert (account.kind, account.head_rows, account.body) == ("flat", 50, None)
