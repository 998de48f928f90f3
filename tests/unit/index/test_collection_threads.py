"""Writers and searchers at once: every hit is one that was written, vector and row together."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from simila.domain.results import Item
from simila.domain.vectors import unit_rows
from simila.index.collection import Collection
from simila.storage.item_store import CollectionSpec, ItemStore

DIMENSION = 16
SPEC = CollectionSpec("busy", "encoder", "ab" * 32, DIMENSION, "2025-01-31T12:00:00+00:00")
COSINE_TOLERANCE = 1e-6
STRESS_SECONDS = 1.0
KEPT_ITEMS = 40


def versioned(item_id, version):
    """An item of which every part follows from its id and version."""
    generator = np.random.default_rng([*item_id.encode(), version])
    vector = unit_rows(generator.normal(size=(1, DIMENSION)).astype(np.float32))[0]
    return Item(item_id, vector, f"{item_id}-{version}", {"version": version})


@pytest.fixture
def collection(tmp_path):
    ItemStore.create(tmp_path / "items.sqlite", SPEC).close()
    collection = Collection.open(tmp_path / "items.sqlite")
    collection.upsert([versioned(f"kept{number}", 0) for number in range(KEPT_ITEMS)])
    yield collection
    collection.close()


def replace_items(collection, ends_at):
    version = 0
    while time.monotonic() < ends_at:
        version += 1
        collection.upsert([versioned(f"kept{(version * 7 + offset) % KEPT_ITEMS}", version) for offset in range(5)])
    return version


def come_and_go(collection, ends_at):
    version = 0
    while time.monotonic() < ends_at:
        version += 1
        collection.upsert([versioned("passing", version)])
        assert collection.delete("passing")
    return version


def search(collection, ends_at):
    searches = 0
    generator = np.random.default_rng(0)
    while time.monotonic() < ends_at:
        query = unit_rows(generator.normal(size=(1, DIMENSION)).astype(np.float32))[0]
        hits = collection.search(query, KEPT_ITEMS + 1)
        assert len({hit.id for hit in hits}) == len(hits)
        assert len([hit for hit in hits if hit.id.startswith("kept")]) == KEPT_ITEMS
        for hit in hits:
            item = versioned(hit.id, hit.payload["version"])
            assert hit.label == item.label
            assert abs(hit.score - float(item.vector @ query)) < COSINE_TOLERANCE
        searches += 1
    return searches


def read(collection, ends_at):
    reads = 0
    while time.monotonic() < ends_at:
        labelled = collection.labelled_vectors()
        for vector, label in zip(labelled.vectors, labelled.labels, strict=True):
            item_id, version = label.split("-")
            assert vector.tobytes() == versioned(item_id, int(version)).vector.tobytes()
        assert collection.statistics().items in {KEPT_ITEMS, KEPT_ITEMS + 1}
        reads += 1
    return reads


def test_writers_and_searchers_at_once(collection):
    ends_at = time.monotonic() + STRESS_SECONDS
    with ThreadPoolExecutor() as pool:
        tasks = [pool.submit(task, collection, ends_at) for task in (replace_items, come_and_go, search, search, read)]
        assert all(task.result() > 0 for task in tasks)
    query = versioned("query", 0).vector
    items = [stored.item for stored in collection.page(0, 1000)]
    best = max(items, key=lambda item: float(item.vector @ query))
    assert len(items) == KEPT_ITEMS
    assert collection.search(query, 1)[0].label == best.label
