"""A collection that has grown enough for a body, and what it is to hold."""

from collections.abc import Callable

import numpy as np

from memory_vectors import clustered_vectors
from simila.domain.results import Item
from simila.index import body_upkeep
from simila.index.collection import Collection
from simila.storage.collection_file import CollectionSpec
from simila.storage.item_writes import Delete, Upsert
from small_collections import ENCODER, HeldExecutor, are_nearest, ids, nearest

DIMENSION = 16
FLAT_ROWS = 300
ROWS = 900
RECALL_TARGET = 0.95
COSINE_TOLERANCE = 1e-6
SPEC = CollectionSpec.new("grown", dimension=DIMENSION, recall_target=RECALL_TARGET, **ENCODER)
QUERIES = clustered_vectors(1, 20, DIMENSION)


class Grown:
    """A collection, what it is to hold, and the builds that wait."""

    def __init__(self, folder, memory_bytes=None):
        self.folder = folder
        self.executor = HeldExecutor()
        self.collection = Collection.open(folder, executor=self.executor, memory_bytes=memory_bytes)
        self.model = {stored.id: self.collection.reader.get(stored.id).item.vector for stored in self.rows()}

    def rows(self):
        return self.collection.reader.page(0, 10**6)

    def upsert(self, numbers, seed=0):
        vectors = clustered_vectors(seed, max(numbers) + 1, DIMENSION)
        items = [Item(str(number), vectors[number], payload={"n": number}) for number in numbers]
        self.collection.write(Upsert(items)).result()
        for item in items:
            self.model.pop(item.id, None)
            self.model[item.id] = item.vector

    def delete(self, numbers):
        self.collection.write(Delete([str(number) for number in numbers])).result()
        for number in numbers:
            del self.model[str(number)]

    def restarted(self):
        self.collection.close()
        return Grown(self.folder)

    @property
    def index(self):
        return self.collection.statistics().index

    def check(self):
        """Exact searches are exact, others as good as was promised, and all scores are cosines."""
        names, matrix = np.array(list(self.model)), np.array(list(self.model.values()))
        assert self.collection.statistics().items == len(names)
        recalls = []
        for query in QUERIES:
            best = names[np.argsort(-(matrix @ query), kind="stable")[:10]].tolist()
            hits = nearest(self.collection, query, 10, exact=True)
            assert are_nearest(hits, {name: float(vector @ query) for name, vector in self.model.items()}, 10)
            found = nearest(self.collection, query, 10)
            recalls.append(len(set(ids(found)) & set(best)) / len(best))
            assert len(found) == min(10, len(names))
            for hit in [*hits, *found]:
                assert abs(hit.score - self.model[hit.id] @ query) < COSINE_TOLERANCE
        assert np.mean(recalls) >= RECALL_TARGET


def during_builds(monkeypatch, act: Callable[[], None]):
    """Do something while a body is being built, once."""
    tuned = body_upkeep.tuned

    def tuned_after(*arguments):
        monkeypatch.setattr(body_upkeep, "tuned", tuned)
        act()
        return tuned(*arguments)

    monkeypatch.setattr(body_upkeep, "tuned", tuned_after)
