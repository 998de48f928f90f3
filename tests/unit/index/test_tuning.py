from dataclasses import replace

import numpy as np
import pytest

from memory_vectors import MemoryVectors, brute_force, clustered_vectors, unit_vectors
from simila.index.body import Body, Setting
from simila.index.body_builder import BuildCancelled, BuildWatch, build_body
from simila.index.body_search import search_body
from simila.index.recipes import recipe_of
from simila.index.row_mask import RowMask
from simila.index.tuning import tuned

DIMENSION = 32
ROWS = 4000
SEQUENCES = np.arange(1, ROWS + 1) * 2
STORED = MemoryVectors(SEQUENCES, clustered_vectors(0, ROWS, DIMENSION, clusters=60))
NO_QUERIES = np.empty((0, DIMENSION), np.float32)


@pytest.fixture(scope="module")
def body() -> Body:
    return build_body(recipe_of("ivf-rabitq"), STORED, SEQUENCES, DIMENSION, BuildWatch())


def recall_at_10(body: Body, queries: np.ndarray) -> float:
    mask = RowMask.all_of(ROWS)
    shares = []
    for query in queries:
        found, _ = search_body(body, query[np.newaxis], 10, STORED, mask)
        truth, _ = brute_force(STORED, query, 10)
        shares.append(len(set(truth) & set(found.sequences[0].tolist())) / 10)
    return float(np.mean(shares))


@pytest.mark.parametrize("target", [0.7, 0.95])
def test_the_tuned_body_meets_its_target_on_queries_it_has_not_seen(body: Body, target: float) -> None:
    queries = clustered_vectors(7, 100, DIMENSION, clusters=60)

    result = tuned(body, STORED, clustered_vectors(8, 100, DIMENSION, clusters=60), target, BuildWatch())

    assert result.measured is not None
    assert result.measured.meets_target
    assert min(result.measured.recall_at_10.values()) >= target
    assert recall_at_10(result, queries) >= target


def test_a_higher_target_takes_more_work(body: Body) -> None:
    low = tuned(body, STORED, NO_QUERIES, 0.5, BuildWatch()).setting
    high = tuned(body, STORED, NO_QUERIES, 0.99, BuildWatch()).setting

    assert high.effort * high.rerank_factor > low.effort * low.rerank_factor


def test_the_measured_recall_is_that_of_brute_force(body: Body) -> None:
    queries = clustered_vectors(8, 200, DIMENSION, clusters=60)

    result = tuned(body, STORED, queries, 0.8, BuildWatch())

    assert result.measured is not None
    assert result.measured.recall_at_10["outside"] == pytest.approx(recall_at_10(result, queries), abs=0.01)


def test_queries_from_outside_are_a_group_of_their_own(body: Body) -> None:
    near = tuned(body, STORED, NO_QUERIES, 0.9, BuildWatch())
    far = tuned(body, STORED, unit_vectors(9, 200, DIMENSION), 0.9, BuildWatch())

    assert near.measured is not None
    assert far.measured is not None
    assert set(near.measured.recall_at_10) == {"stored"}
    assert set(far.measured.recall_at_10) == {"stored", "outside"}
    assert far.setting.effort * far.setting.rerank_factor > near.setting.effort * near.setting.rerank_factor


def test_a_target_out_of_reach_is_said_to_be() -> None:
    recipe = replace(recipe_of("ivf-pq"), efforts=(1,), rerank_factors=(1,))
    body = build_body(recipe, STORED, SEQUENCES, DIMENSION, BuildWatch())

    result = tuned(body, STORED, NO_QUERIES, 0.99, BuildWatch())

    assert result.measured is not None
    assert not result.measured.meets_target
    assert result.setting == Setting(1, 1)


def test_equal_rows_count_as_found_whichever_of_them_is() -> None:
    same = MemoryVectors(SEQUENCES, np.repeat(unit_vectors(0, ROWS // 100, DIMENSION), 100, axis=0))
    copies = build_body(recipe_of("ivf-sq8"), same, SEQUENCES, DIMENSION, BuildWatch())

    result = tuned(copies, same, NO_QUERIES, 0.99, BuildWatch())

    assert result.measured is not None
    assert result.measured.recall_at_10["stored"] == 1


def test_bytes_per_vector_are_those_on_disk_and_in_memory(body: Body) -> None:
    result = tuned(body, STORED, NO_QUERIES, 0.5, BuildWatch())

    assert result.measured is not None
    estimate = body.recipe.bytes_per_vector(DIMENSION)
    assert result.measured.bytes_per_vector == pytest.approx(estimate, rel=0.3)


def test_tuning_stops_when_it_is_cancelled(body: Body) -> None:
    with pytest.raises(BuildCancelled):
        tuned(body, STORED, NO_QUERIES, 0.9, BuildWatch(is_cancelled=lambda: True))
