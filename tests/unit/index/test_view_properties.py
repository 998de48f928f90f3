import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from memory_vectors import MemoryVectors, brute_force, unit_vectors
from simila.domain.vectors import Int64
from simila.index.body import Body, Setting
from simila.index.body_builder import BuildWatch, build_body
from simila.index.recipes import RECIPES
from simila.index.view import NO_SEQUENCES, View

FEWEST_TRAINABLE_ROWS = 16  # of 4-bit product quantisation
DIMENSION = 8
NO_ROWS = MemoryVectors(NO_SEQUENCES, np.empty((0, DIMENSION), np.float32))
QUERIES = unit_vectors(1, 2, DIMENSION)


class Views(RuleBasedStateMachine):
    """A view against a dictionary, while bodies are built of older rows and swapped in."""

    def __init__(self) -> None:
        super().__init__()
        self.view = View.empty(DIMENSION)
        self.stored = MemoryVectors(NO_SEQUENCES, np.empty((0, DIMENSION), np.float32))
        self.newest = 0
        self.body: Body | None = None

    @initialize(rows=st.integers(0, 120))
    def begin(self, rows: int) -> None:
        self.change(rows, 0, 0)

    @rule(rows=st.integers(0, 40), gap=st.integers(0, 3), seed=st.integers(0, 5), data=st.data())
    def upsert(self, rows: int, gap: int, seed: int, data: st.DataObject) -> None:
        self.change(rows, gap, seed, self.some(data))

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        self.change(0, 0, 0, self.some(data))

    @rule(kind=st.sampled_from(RECIPES), setting=st.builds(Setting, st.sampled_from([1, 4]), st.sampled_from([1, 4])))
    def build(self, kind: object, setting: Setting) -> None:
        if len(self.view) >= FEWEST_TRAINABLE_ROWS:
            recipe = next(recipe for recipe in RECIPES if recipe is kind)
            built = build_body(recipe, self.stored, self.view.sequences(), DIMENSION, BuildWatch())
            self.body = Body(built.index, built.sequences, recipe, setting)

    @rule()
    def swap(self) -> None:
        if self.body is not None:
            self.view, self.body = self.view.with_body(self.body), None

    @rule()
    def reopen(self) -> None:
        """As after a restart: the body from its file, the rest from the store."""
        if self.view.body is not None:
            live = np.array(sorted(self.stored), dtype=np.int64)
            view = View.of_body(self.view.body, live)
            missing = np.setdiff1d(live, view.sequences())
            self.view = view.with_changes(*self.stored.vectors(missing))

    @rule(data=st.data(), k=st.integers(1, 200), is_exact=st.booleans())
    def search(self, data: st.DataObject, k: int, is_exact: bool) -> None:
        allowed = data.draw(st.none() | st.just(self.some(data)), label="allowed")
        excluded = self.some(data)
        matches = set(self.stored) - set(excluded.tolist())
        if allowed is not None:
            matches &= set(allowed.tolist())
        found, _ = self.view.search(QUERIES, k, self.stored, allowed=allowed, excluded=excluded, exact=is_exact)
        for query, scores, sequences in zip(QUERIES, found.scores, found.sequences, strict=True):
            count = min(k, len(matches))
            here = sequences[:count].tolist()
            assert len(set(here) & matches) == count
            assert (sequences[count:] == -1).all()
            assert np.isneginf(scores[count:]).all()
            np.testing.assert_allclose(scores[:count], [self.stored[s] @ query for s in here], atol=1e-6)
            assert (np.diff(scores[:count]) <= 0).all()
            if is_exact:
                _, cosines = brute_force({s: self.stored[s] for s in matches}, query, k)
                np.testing.assert_allclose(scores[:count], cosines, atol=1e-6)

    @invariant()
    def holds_what_is_stored(self) -> None:
        assert self.view.sequences().tolist() == sorted(self.stored)
        assert len(self.view) == len(self.stored)

    def some(self, data: st.DataObject) -> Int64:
        """Some of the sequences there are or were, ascending; a modulus reaches many with few draws."""
        modulus, rest = data.draw(st.tuples(st.integers(1, 7), st.integers(0, 6)), label="every")
        return np.array([s for s in range(1, self.newest + 3) if s % modulus == rest], dtype=np.int64)

    def change(self, rows: int, gap: int, seed: int, removed: Int64 = NO_SEQUENCES) -> None:
        sequences = np.arange(rows) + self.newest + 1 + gap
        vectors = unit_vectors(seed, rows, DIMENSION)  # a seed twice gives equal vectors
        self.stored.update(zip(sequences.tolist(), vectors, strict=True))
        for sequence in removed.tolist():
            self.stored.pop(sequence, None)
        self.newest += rows + gap
        self.view = self.view.with_changes(sequences, vectors, removed)


@pytest.fixture(autouse=True)
def small_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few hundred rows take every way that millions do."""
    monkeypatch.setattr("simila.index.head.CHUNK_ROWS", 64)
    monkeypatch.setattr("simila.index.view._FEWEST_DEAD_ROWS", 8)
    monkeypatch.setattr("simila.index.body_search._FEW_ROWS", 8)
    monkeypatch.setattr("simila.index.body_search._SCANNED_VALUES", 100)
    monkeypatch.setattr("simila.index.body_search._CODES_PER_CANDIDATE", 1)


class TestViews(Views.TestCase):
    settings = settings(max_examples=40, stateful_step_count=20)
