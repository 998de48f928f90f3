"""Collections that are quick to make, items of which every part follows from their id, and builds that wait."""

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simila.domain.results import Hit, Item
from simila.domain.vectors import Float32, unit_rows
from simila.index.collection import ITEMS_FILE, Collection, SearchQuery
from simila.storage.collection_file import CollectionSpec
from simila.storage.collection_store import CollectionStore
from simila.storage.where import Where

ROUNDING = 1e-6
"""Cosines of one pair of float32 vectors, added up in other orders, differ by less."""

ENCODER = {"encoder": "all-minilm-l6-v2", "fingerprint": "ab" * 32}


class HeldExecutor(Executor):
    """Keeps what it is given until `run`, so that a test says when a body is built."""

    def __init__(self) -> None:
        self.waiting: deque[Callable[[], Any]] = deque()

    def submit(self, task: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        self.waiting.append(partial(task, *args, **options))
        return Future()

    def run(self) -> int:
        """Run what waits, and what that hands in; return how many ran."""
        ran = 0
        while self.waiting:
            self.waiting.popleft()()
            ran += 1
        return ran


def new_folder(parent: Path, spec: CollectionSpec) -> Path:
    """The folder of an empty collection."""
    folder = parent / spec.name
    folder.mkdir()
    CollectionStore.create(folder / ITEMS_FILE, spec).close()
    return folder


def lower_flat_values(patch: pytest.MonkeyPatch, values: int) -> None:
    """Let collections of more than so many vector values have a body."""
    patch.setattr("simila.index.recipes.FLAT_VALUES", values)
    patch.setattr("simila.index.body_upkeep.FLAT_VALUES", values)


def versioned(item_id: str, version: int, dimension: int) -> Item:
    """An item of which every part follows from its id and version."""
    generator = np.random.default_rng([*item_id.encode(), version])
    vector = unit_rows(generator.standard_normal((1, dimension)).astype(np.float32))[0]
    parity = "even" if version % 2 == 0 else "odd"
    return Item(item_id, vector, f"{item_id}-{version}", {"version": version, "parity": parity})


def is_whole(hit: Hit, query: Float32, tolerance: float) -> bool:
    """Whether a hit on a versioned item is all of one version, with the cosine of its vector."""
    assert hit.payload is not None
    item = versioned(hit.id, hit.payload["version"], len(query))
    same = (hit.label, hit.payload) == (item.label, item.payload)
    return same and abs(hit.score - float(item.vector @ query)) < tolerance


def nearest(
    collection: Collection,
    query: Float32,
    limit: int,
    *,
    where: Where | None = None,
    excluded_ids: tuple[str, ...] = (),
    exact: bool = False,
) -> list[Hit]:
    """The hits of one query, `float32 [d]`."""
    asked = SearchQuery(query[np.newaxis], limit, where, excluded_ids, exact)
    return list(collection.search(asked).hits[0])


def are_nearest(hits: list[Hit], cosines: Mapping[str, float], limit: int) -> bool:
    """Whether hits are the nearest of all items, by their cosines. The order of cosines that rounding mixes is free."""
    best = sorted(cosines.values(), reverse=True)[:limit]
    assert len({hit.id for hit in hits}) == len(hits) == len(best)
    scores = np.array([hit.score for hit in hits])
    true = np.array([cosines[hit.id] for hit in hits])
    return bool(np.all(np.abs(scores - best) < ROUNDING) and np.all(np.abs(scores - true) < ROUNDING))


def ids(hits: list[Hit]) -> list[str]:
    return [hit.id for hit in hits]
