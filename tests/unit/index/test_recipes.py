import pytest

from simila.index.recipes import FLAT_VALUES, RECIPES, suitable_recipes

MILLION = 1_000_000


def kinds(rows: int, dimension: int, memory_bytes: int | None = None) -> list[str]:
    return [recipe.kind for recipe in suitable_recipes(rows, dimension, memory_bytes)]


@pytest.mark.parametrize(
    ("rows", "dimension", "memory_bytes", "expected"),
    [
        (63, 384, 1, []),
        (64, 384, 1, ["ivf-pq", "ivf-rabitq", "ivf-sq8", "hnsw-sq8"]),
        (FLAT_VALUES // 384, 384, None, []),
        (FLAT_VALUES // 384 + 1, 384, None, ["hnsw-sq8"]),
        (MILLION, 384, None, ["ivf-sq8", "hnsw-sq8"]),
        (MILLION, 384, 500 * MILLION, ["ivf-sq8", "hnsw-sq8"]),
        (MILLION, 384, 200 * MILLION, ["ivf-rabitq", "ivf-sq8", "hnsw-sq8"]),
        (MILLION, 384, 80 * MILLION, ["ivf-pq", "ivf-rabitq", "ivf-sq8", "hnsw-sq8"]),
        (MILLION, 384, 1, ["ivf-pq", "ivf-rabitq", "ivf-sq8", "hnsw-sq8"]),
        (10_000, 384, 10_000 * 1000, ["hnsw-sq8"]),
    ],
)
def test_the_first_recipe_is_the_best_that_fits(
    rows: int, dimension: int, memory_bytes: int | None, expected: list[str]
) -> None:
    assert kinds(rows, dimension, memory_bytes) == expected


@pytest.mark.parametrize(
    ("rows", "build_cores", "expected"),
    [
        (200_000, 1, ["hnsw-sq8"]),
        (200_001, 1, ["ivf-sq8", "hnsw-sq8"]),
        (MILLION, 4, ["ivf-sq8", "hnsw-sq8"]),
        (MILLION, 5, ["hnsw-sq8"]),
    ],
)
def test_a_graph_is_built_of_as_many_rows_as_the_cores_manage_in_a_minute(
    rows: int, build_cores: int, expected: list[str]
) -> None:
    assert [recipe.kind for recipe in suitable_recipes(rows, 384, None, build_cores)] == expected


def test_recipes_are_ordered_by_the_memory_they_need() -> None:
    for dimension in (64, 384, 1536):
        sizes = [recipe.bytes_per_vector(dimension) for recipe in RECIPES]
        assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(
    ("rows", "cells"), [(1, 1), (100, 2), (200_000, 2048), (MILLION, 4096), (10 * MILLION, 16_384)]
)
def test_cells_are_a_power_of_two_that_the_rows_can_train(rows: int, cells: int) -> None:
    assert RECIPES[1].factory(rows, 384) == f"IVF{cells},SQ8"


@pytest.mark.parametrize(("dimension", "subspaces"), [(384, 48), (768, 96), (100, 10), (7, 1), (6, 1)])
def test_subspaces_divide_the_dimension(dimension: int, subspaces: int) -> None:
    assert RECIPES[3].factory(1, dimension) == f"IVF1,PQ{subspaces}x4fs"
