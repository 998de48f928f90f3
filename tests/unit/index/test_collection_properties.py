"""Any run of writes, searches and restarts equals a dictionary and numpy."""

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from simila.domain.results import Item
from simila.domain.vectors import unit_rows
from simila.index.collection import Collection
from simila.storage.item_store import CollectionSpec, ItemStore

SPEC = CollectionSpec("any", "encoder", "ab" * 32, 4, "2025-01-31T12:00:00+00:00")
COSINE_TOLERANCE = 1e-6
IDS = st.sampled_from(["a", "b", "c", "d", "e", "f"])
LABELS = st.sampled_from([None, "x", "y"])
PAYLOADS = st.none() | st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=2)
# Few directions, so that many cosines are equal.
VECTORS = st.sampled_from(
    list(unit_rows(np.random.default_rng(0).integers(-1, 2, size=(12, 4)).astype(np.float32) + 0.5))
)
ITEMS = st.lists(st.builds(Item, IDS, VECTORS, LABELS, PAYLOADS), max_size=4, unique_by=lambda item: item.id)


class CollectionMachine(RuleBasedStateMachine):
    """`model` holds the items by id, from the oldest write to the newest."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "items.sqlite"
        ItemStore.create(self.path, SPEC).close()
        self.collection = Collection.open(self.path)
        self.model: dict[str, Item] = {}

    def teardown(self):
        self.collection.close()
        self.folder.cleanup()

    @rule(items=ITEMS)
    def upsert(self, items):
        self.collection.upsert(items)
        for item in items:
            self.model.pop(item.id, None)
        self.model.update({item.id: item for item in items})

    @rule(item_id=IDS)
    def delete(self, item_id):
        assert self.collection.delete(item_id) == (self.model.pop(item_id, None) is not None)

    @rule()
    def restart(self):
        self.collection.close()
        self.collection = Collection.open(self.path)

    @rule(
        query=VECTORS,
        limit=st.integers(1, 8),
        score_threshold=st.none() | st.floats(-1, 1),
        exclude_id=st.none() | IDS,
    )
    def search(self, query, limit, score_threshold, exclude_id):
        cosines = {i: float(item.vector @ query) for i, item in self.model.items() if i != exclude_id}
        found = self.collection.search(query, limit, score_threshold=score_threshold, exclude_id=exclude_id)
        expected = sorted(cosines.values(), reverse=True)[:limit]
        if score_threshold is not None:
            at_the_edge = any(abs(cosine - score_threshold) < COSINE_TOLERANCE for cosine in expected)
            expected = expected[: len(found)] if at_the_edge else [c for c in expected if c >= score_threshold]
        np.testing.assert_allclose([hit.score for hit in found], expected, atol=COSINE_TOLERANCE)
        for hit in found:
            item = self.model[hit.id]
            assert (hit.label, hit.payload) == (item.label, item.payload)
            assert abs(hit.score - cosines[hit.id]) < COSINE_TOLERANCE
        age = {item_id: position for position, item_id in enumerate(self.model)}
        assert [hit.id for hit in found] == [h.id for h in sorted(found, key=lambda hit: (-hit.score, age[hit.id]))]

    @invariant()
    def holds_what_the_model_holds(self):
        stored = [entry.item for entry in self.collection.page(0, 100)]
        assert [item.id for item in stored] == list(self.model)
        assert [item.vector.tobytes() for item in stored] == [item.vector.tobytes() for item in self.model.values()]
        labelled = self.collection.labelled_vectors()
        examples = [item for item in self.model.values() if item.label is not None]
        assert labelled.labels == [item.label for item in examples]
        assert labelled.vectors.tobytes() == b"".join(item.vector.tobytes() for item in examples)
        assert self.collection.statistics().items == len(self.model)


TestCollection = CollectionMachine.TestCase
TestCollection.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
