import asyncio
from dataclasses import dataclass

import numpy as np
import pytest

from simila.domain.results import Hit
from simila.services.paging import Cursor, page_after
from simila.storage.where import Where


@dataclass
class Ranked:
    """A ranking by sequences and scores; what is searched for is kept."""

    scores: dict[int, float]

    def __post_init__(self):
        self.asked = []

    async def top(self, count, where):
        self.asked.append((count, where.parameters))
        best = sorted(self.scores.items(), key=lambda pair: (-pair[1], pair[0]))[:count]
        return [Hit(str(sequence), score, None, None, sequence) for sequence, score in best]


def hits(scores):
    return [Hit(str(sequence), score, None, None, sequence) for sequence, score in scores.items()]


def page(cursor, ranked, limit):
    found, following = asyncio.run(page_after(cursor, ranked, limit))
    return [hit.sequence for hit in found], following


def test_a_cursor_is_read_as_it_was_written():
    cursor = Cursor("ab12", 99, 7, 0.12345678901234567, (3, 2**62))
    assert Cursor.decode(cursor.encode(), "ab12", "after") == cursor


def test_only_what_was_written_by_then_is_looked_for():
    cursor = Cursor.after_first("x", 42, hits({1: 0.9, 2: 0.8}))
    ranked = Ranked({1: 0.9, 2: 0.8, 3: 0.7})
    assert page(cursor, ranked, 2) == ([3], None)
    assert ranked.asked == [(5, (42,))]


def test_behind_a_full_last_page_comes_no_other():
    cursor = Cursor.after_first("x", 99, hits({1: 0.9, 2: 0.8}))
    ranked = Ranked({1: 0.9, 2: 0.8, 3: 0.7, 4: 0.6})
    assert page(cursor, ranked, 2) == ([3, 4], None)


def test_what_an_approximate_search_finds_too_late_makes_no_page_short():
    cursor = Cursor.after_first("x", 99, hits({1: 0.9, 2: 0.8}))
    ranked = Ranked({1: 0.9, 50: 0.89, 51: 0.88, 52: 0.87, 2: 0.8, 3: 0.7, 4: 0.6, 5: 0.5})
    found, following = page(cursor, ranked, 2)
    assert found == [3, 4]
    assert [count for count, _ in ranked.asked] == [5, 10]
    assert page(following, ranked, 2) == ([5], None)


@pytest.mark.parametrize("jitter", [-3e-7, 3e-7])
def test_scores_that_move_in_their_last_digits_repeat_nothing_and_lose_nothing(jitter):
    scores = dict.fromkeys(range(1, 8), 0.5) | {8: 0.4}
    cursor = Cursor.after_first("x", 99, hits(dict.fromkeys((1, 2, 3), 0.5)))
    moved = {sequence: score + jitter * (sequence % 3 - 1) for sequence, score in scores.items()}
    first, cursor = page(cursor, Ranked(moved), 3)
    second, cursor = page(cursor, Ranked(scores), 3)
    assert cursor is None
    assert sorted(first + second) == [4, 5, 6, 7, 8]


@pytest.mark.parametrize("spread", [1e-6, 1e-4])
@pytest.mark.parametrize("limit", [7, 10])
def test_near_duplicates_whose_scores_move_are_each_on_one_page(spread, limit):
    scores = {sequence: 0.9 - spread * sequence / 300 for sequence in range(300)}
    noise = np.random.default_rng(8)

    def ranked():
        moves = noise.uniform(-2e-7, 2e-7, len(scores)).tolist()
        return Ranked({sequence: score + move for (sequence, score), move in zip(scores.items(), moves, strict=True)})

    first = asyncio.run(ranked().top(limit, Where("1", ())))
    seen, cursor = [hit.sequence for hit in first], Cursor.after_first("x", 999, first)
    while cursor:
        found, cursor = page(cursor, ranked(), limit)
        seen += found
    assert sorted(seen) == list(scores)


def test_a_score_that_moved_up_does_not_raise_a_cursor():
    cursor = Cursor.after_first("x", 99, hits({1: 0.5}))
    found, cursor = page(cursor, Ranked({1: 0.5, 2: 0.5 + 5e-6, 3: 0.4}), 1)
    assert (found, cursor.score) == ([2], 0.5)


def test_a_cursor_forgets_those_no_longer_found_once_its_score_is_far_below():
    cursor = Cursor.after_first("x", 99, hits({1: 0.5, 2: 0.5}))
    _, cursor = page(cursor, Ranked({1: 0.5, 3: 0.5, 4: 0.5, 5: 0.3, 6: 0.2}), 2)
    assert sorted(cursor.level) == [1, 2, 3, 4]
    _, cursor = page(cursor, Ranked({1: 0.5, 3: 0.5, 4: 0.5, 5: 0.3, 6: 0.2, 7: 0.1}), 2)
    assert cursor.level == (6,)


def test_a_cursor_keeps_only_those_of_about_its_score():
    cursor = Cursor.after_first("x", 99, hits({1: 0.9, 2: 0.5, 3: 0.5}))
    assert cursor.level == (2, 3)
    _, following = page(cursor, Ranked({1: 0.9, 2: 0.5, 3: 0.5, 4: 0.5, 5: 0.3, 6: 0.2}), 2)
    assert (following.level, following.shown, following.score) == ((5,), 5, 0.3)
