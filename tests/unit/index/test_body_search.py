from dataclasses import replace

import numpy as np
import pytest

from memory_vectors import MemoryVectors, brute_force, clustered_vectors
from simila.domain.vectors import Float32, Int64
from simila.index.body import Body, Setting
from simila.index.body_builder import BuildWatch, build_body
from simila.index.body_search import BodySearch, search_body
from simila.index.recipes import RECIPES, Recipe
from simila.index.row_mask import RowMask
from simila.index.tuning import tuned

DIMENSION = 32
ROWS = 12_000
SEQUENCES = np.arange(1, ROWS + 1) * 2
VECTORS = clustered_vectors(0, ROWS, DIMENSION)
QUERIES = clustered_vectors(7, 60, DIMENSION)
STORED = MemoryVectors(SEQUENCES, VECTORS)
TARGET = 0.9


@pytest.fixture(scope="module", params=RECIPES, ids=lambda recipe: recipe.kind)
def body(request: pytest.FixtureRequest) -> Body:
    recipe: Recipe = request.param
    built = build_body(recipe, STORED, SEQUENCES, DIMENSION, BuildWatch())
    return tuned(built, STORED, QUERIES[:0], TARGET, BuildWatch())


@pytest.fixture
def small_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that small bodies are searched like large ones."""
    monkeypatch.setattr("simila.index.body_search._SCANNED_VALUES", 0)
    monkeypatch.setattr("simila.index.body_search._CODES_PER_CANDIDATE", 1)


def survivors(kind: str, share: float) -> Int64:
    """Positions of rows: evenly drawn, or on one side of a plane, which is at odds with half of the queries."""
    if kind == "even":
        return np.flatnonzero(np.random.default_rng(3).random(ROWS) < share)
    sides = VECTORS @ clustered_vectors(5, 1, DIMENSION)[0]
    return np.flatnonzero(sides >= np.quantile(sides, 1 - share))


def check(body: Body, k: int, positions: Int64, least_recall: float) -> set[str]:
    """Search for all queries, one by one; each answer is full, exact in its cosines, and near enough the truth."""
    rows = {int(sequence): STORED[int(sequence)] for sequence in SEQUENCES[positions]}
    recalls, plans = [], set()
    for query in QUERIES:
        found, search = search_body(body, query[np.newaxis], k, STORED, RowMask.only(positions, ROWS))
        plans.add(search.plan.split()[0] + (" enlarged" if "enlarged" in search.plan else ""))
        expected, _ = brute_force(rows, query, k)
        sequences = found.sequences[0, : len(expected)].tolist()
        assert set(sequences) <= set(rows)
        assert len(set(sequences)) == len(expected)
        np.testing.assert_allclose(found.scores[0, : len(expected)], [rows[s] @ query for s in sequences], atol=1e-6)
        recalls.append(len(set(sequences) & set(expected)) / len(expected))
    assert np.mean(recalls) >= least_recall
    return plans


@pytest.mark.parametrize("kind", ["even", "side"])
@pytest.mark.parametrize(("share", "plans"), [(0.001, {"exact"}), (0.01, {"exact"}), (0.1, {"scan"})])
def test_under_a_narrow_filter_recall_meets_its_target(body: Body, kind: str, share: float, plans: set[str]) -> None:
    assert check(body, 10, survivors(kind, share), TARGET) == plans


@pytest.mark.usefixtures("small_scans")
@pytest.mark.parametrize("kind", ["even", "side"])
def test_under_a_wide_filter_recall_meets_its_target(body: Body, kind: str) -> None:
    assert "search enlarged" in check(body, 10, survivors(kind, 0.5), TARGET)


@pytest.mark.usefixtures("small_scans")
def test_a_query_at_odds_with_its_filter_scans_the_codes() -> None:
    body = replace(built(RECIPES[1]), setting=Setting(2, 4))
    nearest = np.argsort(-(VECTORS @ QUERIES[0]))
    mask = RowMask.only(np.sort(nearest[ROWS // 2 :]), ROWS)

    found, search = search_body(body, QUERIES[:1], 10, STORED, mask)

    assert search.plan == f"scan of {ROWS // 2} codes"
    assert len(set(found.sequences[0]) & set(SEQUENCES[nearest[ROWS // 2 :][:10]])) >= 8


def built(recipe: Recipe) -> Body:
    return build_body(recipe, STORED, SEQUENCES, DIMENSION, BuildWatch())


@pytest.mark.parametrize("k", [1, 100, 1000])
def test_k_rows_come_back_from_all(body: Body, k: int) -> None:
    check(body, k, np.arange(ROWS), 0.8)


def test_when_fewer_match_than_are_asked_for_all_come_back(body: Body) -> None:
    positions = np.arange(0, ROWS, 17)

    found, _ = search_body(body, QUERIES[:2], 1000, STORED, RowMask.only(positions, ROWS))

    for row in found.sequences:
        assert sorted(row[row >= 0].tolist()) == SEQUENCES[positions].tolist()
        assert (row[len(positions) :] == -1).all()


@pytest.mark.parametrize("share", [1.0, 0.4, 0.05, 0.01])
def test_rows_that_the_store_has_lost_are_made_up_for(body: Body, share: float) -> None:
    positions = survivors("even", share)
    query = QUERIES[0]
    best, _ = brute_force({int(s): STORED[int(s)] for s in SEQUENCES[positions]}, query, 60)
    left = MemoryVectors(SEQUENCES, VECTORS)
    for sequence in best:
        del left[sequence]

    found, _ = search_body(body, QUERIES[:1], 10, left, RowMask.only(positions, ROWS))

    known = RowMask.only(np.setdiff1d(positions, np.array(best) // 2 - 1), ROWS)
    expected, _ = search_body(body, QUERIES[:1], 10, STORED, known)
    sequences = found.sequences[0].tolist()
    assert len(set(sequences) - {-1, *best}) == 10
    assert len(set(sequences) & set(expected.sequences[0].tolist())) >= 8


def test_where_the_store_has_lost_all_nothing_comes_back(body: Body) -> None:
    empty = MemoryVectors(SEQUENCES[:0], VECTORS[:0])

    found, _ = search_body(body, QUERIES[:2], 3, empty, RowMask.all_of(ROWS))

    assert found.sequences.tolist() == [[-1] * 3] * 2
    assert np.isneginf(found.scores).all()


@pytest.mark.usefixtures("small_scans")
def test_a_query_in_a_batch_has_the_answer_it_has_alone(body: Body) -> None:
    mask = RowMask.only(survivors("side", 0.5), ROWS)

    together, _ = search_body(body, QUERIES, 10, STORED, mask)

    for row, query in enumerate(QUERIES):
        alone, _ = search_body(body, query[np.newaxis], 10, STORED, mask)
        assert together.sequences[row].tolist() == alone.sequences[0].tolist()


class Measuring(MemoryVectors):
    """Remembers the most vectors that it was asked for at once."""

    most = 0

    def vectors(self, sequences: Int64) -> tuple[Int64, Float32]:
        self.most = max(self.most, len(sequences))
        return super().vectors(sequences)


def test_a_large_batch_reads_a_bounded_number_of_vectors_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simila.index.body_search._CANDIDATES_AT_ONCE", 400)
    body = replace(built(RECIPES[1]), setting=Setting(2, 4))
    stored = Measuring(SEQUENCES, VECTORS)

    search_body(body, QUERIES, 10, stored, RowMask.all_of(ROWS))

    assert 40 < stored.most <= 400


def test_a_search_says_what_it_took() -> None:
    body = replace(built(RECIPES[1]), setting=Setting(3, 4))

    _, search = search_body(body, QUERIES[:1], 10, STORED, RowMask.all_of(ROWS))

    assert search == BodySearch("search", 3, 40)
