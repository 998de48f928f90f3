import threading

import numpy as np

from memory_vectors import MemoryVectors, clustered_vectors
from simila.index.body_builder import BuildWatch, build_body
from simila.index.recipes import RECIPES
from simila.index.view import NO_SEQUENCES, View

DIMENSION = 16
ROUNDS = 60
BATCH = 50
READERS = 4
VECTORS = clustered_vectors(0, ROUNDS * BATCH, DIMENSION)
EVERYTHING = MemoryVectors(np.arange(1, len(VECTORS) + 1), VECTORS)  # what a view holds may be gone from the store


class Published:
    """The newest view, and what it holds."""

    def __init__(self) -> None:
        self.state = (View.empty(DIMENSION), NO_SEQUENCES)
        self.is_done = threading.Event()


def write(published: Published) -> None:
    """Add, remove, and swap bodies of every kind."""
    for number in range(ROUNDS):
        view, held = published.state
        added = np.arange(number * BATCH, (number + 1) * BATCH) + 1
        removed = held[number % 3 :: 7]
        view = view.with_changes(added, VECTORS[added - 1], removed)
        held = np.concatenate([np.setdiff1d(held, removed), added])
        if number % 5 == 4:
            recipe = RECIPES[number // 5 % len(RECIPES)]
            stored = MemoryVectors(held, VECTORS[held - 1])
            view = view.with_body(build_body(recipe, stored, held, DIMENSION, BuildWatch()))
        published.state = (view, held)


def read(published: Published, seed: int, searches: list[int], wrong: list[str]) -> None:
    """Search whichever view is the newest, and compare with what that view holds."""
    rng = np.random.default_rng(seed)
    while not published.is_done.is_set() or not searches:
        view, held = published.state
        query = VECTORS[rng.integers(0, len(VECTORS), 1)]
        allowed = held[held % 2 == seed % 2]
        found, _ = view.search(query, 20, EVERYTHING, allowed=allowed, exact=bool(rng.integers(0, 2)))
        sequences = found.sequences[0][found.sequences[0] >= 0]
        cosines = VECTORS[sequences - 1] @ query[0]
        best = np.sort(VECTORS[allowed - 1] @ query[0])[::-1][:20]
        if len(sequences) != len(best) or not np.isin(sequences, allowed).all():
            wrong.append(f"{sequences.tolist()} of {len(allowed)} allowed")
        elif not np.allclose(found.scores[0][: len(best)], cosines, atol=1e-5):
            wrong.append("cosines are not exact")
        elif len(held) <= 512 and not np.allclose(cosines, best, atol=1e-5):
            wrong.append("neighbours are not the nearest")
        searches.append(1)


def test_readers_get_the_truth_of_the_view_they_took_while_a_writer_publishes_others() -> None:
    published, wrong = Published(), list[str]()
    counts: list[list[int]] = [[] for _ in range(READERS)]
    readers = [threading.Thread(target=read, args=(published, seed, counts[seed], wrong)) for seed in range(READERS)]
    for reader in readers:
        reader.start()
    try:
        write(published)
    finally:
        published.is_done.set()
        for reader in readers:
            reader.join()

    assert wrong == []
    assert all(counts)
    assert len(published.state[0]) == len(published.state[1])
