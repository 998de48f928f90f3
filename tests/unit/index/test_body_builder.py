import numpy as np
import pytest

from memory_vectors import MemoryVectors, clustered_vectors, unit_vectors
from simila.domain.vectors import Float32, Int64
from simila.index.body_builder import BuildCancelled, BuildWatch, build_body
from simila.index.recipes import RECIPES, Recipe, recipe_of

DIMENSION = 16
ROWS = 20_000
SEQUENCES = np.arange(1, ROWS + 1) * 2


class Asked(MemoryVectors):
    """Remembers which rows it was asked for."""

    def __init__(self, sequences: Int64, vectors: Float32) -> None:
        super().__init__(sequences, vectors)
        self.asked: list[int] = []

    def vectors(self, sequences: Int64) -> tuple[Int64, Float32]:
        self.asked += sequences.tolist()
        return super().vectors(sequences)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.kind)
def test_a_body_finds_its_rows_among_all_candidates(recipe: Recipe) -> None:
    stored = MemoryVectors(SEQUENCES[:2000], clustered_vectors(0, 2000, DIMENSION))

    body = build_body(recipe, stored, SEQUENCES[:2000], DIMENSION, BuildWatch())

    assert body.sequences.tolist() == SEQUENCES[:2000].tolist()
    own = body.candidates(np.stack([stored[2], stored[4000]]), 300, body.highest_effort)
    assert 0 in own[0]
    assert 1999 in own[1]


def test_rows_deleted_or_added_meanwhile_are_not_in_the_body() -> None:
    stored = MemoryVectors(SEQUENCES, unit_vectors(0, ROWS, DIMENSION))
    del stored[10]

    body = build_body(recipe_of("ivf-sq8"), stored, SEQUENCES[:9000], DIMENSION, BuildWatch())

    assert body.sequences.tolist() == [sequence for sequence in SEQUENCES[:9000].tolist() if sequence != 10]
    assert body.index.ntotal == 8999


def test_the_training_sample_is_drawn_from_all_ages() -> None:
    rows = 60_000
    sequences = np.arange(1, rows + 1)
    stored = Asked(sequences, unit_vectors(0, rows, 4))
    recipe = recipe_of("ivf-sq8")

    build_body(recipe, stored, sequences, 4, BuildWatch())

    sample = np.array(stored.asked[: recipe.training_rows(rows)])
    assert len(set(sample.tolist())) == recipe.training_rows(rows) < 0.7 * rows
    tenths = np.histogram(sample, bins=10, range=(1, rows))[0] / len(sample)
    np.testing.assert_allclose(tenths, 0.1, atol=0.01)


def test_progress_counts_the_rows_up_to_all_of_them() -> None:
    stored = MemoryVectors(SEQUENCES, unit_vectors(0, ROWS, DIMENSION))
    steps: list[tuple[int, int]] = []

    watch = BuildWatch(progress=lambda done, total: steps.append((done, total)))
    build_body(recipe_of("ivf-sq8"), stored, SEQUENCES, DIMENSION, watch)

    assert steps == [(8192, ROWS), (16_384, ROWS), (ROWS, ROWS)]


def test_a_build_stops_between_chunks_when_it_is_cancelled() -> None:
    stored = MemoryVectors(SEQUENCES, unit_vectors(0, ROWS, DIMENSION))
    steps: list[int] = []

    watch = BuildWatch(progress=lambda done, _: steps.append(done), is_cancelled=lambda: bool(steps))
    with pytest.raises(BuildCancelled):
        build_body(recipe_of("ivf-sq8"), stored, SEQUENCES, DIMENSION, watch)

    assert steps == [8192]


def test_nothing_is_built_of_a_store_that_was_emptied() -> None:
    empty = MemoryVectors(SEQUENCES[:0], np.empty((0, DIMENSION), np.float32))

    with pytest.raises(BuildCancelled):
        build_body(recipe_of("ivf-sq8"), empty, SEQUENCES, DIMENSION, BuildWatch())
