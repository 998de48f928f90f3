"""Writers, searchers and builds at once: a search finds what was there while it ran, and misses nothing that stayed."""

import itertools
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest

from memory_vectors import unit_vectors
from simila.index.collection import Collection
from simila.index.filters import compile_filter
from simila.storage.collection_file import CollectionSpec
from simila.storage.item_writes import Delete, Upsert
from small_collections import ENCODER, ids, is_whole, lower_flat_values, nearest, new_folder, versioned

DIMENSION = 16
FLAT_ROWS = 150
WRITERS = 3
IDS_PER_WRITER = 120
WRITES_PER_WRITER = 250
COSINE_TOLERANCE = 1e-6
HANG_SECONDS = 300
EVERYTHING = WRITERS * IDS_PER_WRITER + 1
ODD = compile_filter({"parity": "odd"})
SPEC = CollectionSpec.new("busy", dimension=DIMENSION, **ENCODER)


@dataclass
class Event:
    """One id written, or deleted (no version), by the one thread that writes it. Times are ticks of one clock."""

    version: int | None
    started: int
    done: float = math.inf


class History:
    """What happened to each id, in order."""

    def __init__(self):
        self._clock = itertools.count()
        self._events: dict[str, list[Event]] = {}

    def now(self):
        return next(self._clock)

    def begin(self, item_ids, version):
        events = [Event(version, self.now()) for _ in item_ids]
        for item_id, event in zip(item_ids, events, strict=True):
            self._events.setdefault(item_id, []).append(event)
        return events

    def end(self, events):
        done = self.now()
        for event in events:
            event.done = done

    def possible(self, began, ended):
        """For each id, the versions (None for absent) that it had at some moment between two times."""
        possible = {}
        for item_id, events in list(self._events.items()):
            versions, known = set(), False
            for event in reversed(events):
                if event.started < ended:
                    versions.add(event.version)
                if event.done < began:
                    known = True
                    break
            possible[item_id] = versions if known else versions | {None}
        return possible


@pytest.fixture
def executor():
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture
def collection(tmp_path, monkeypatch, executor):
    lower_flat_values(monkeypatch, FLAT_ROWS * DIMENSION)
    collection = Collection.open(new_folder(tmp_path, SPEC), executor=executor)
    yield collection
    collection.close()


def write(collection, history, writer):
    """Upsert and delete items of this writer's own ids."""
    choice = np.random.default_rng(writer)
    own = [f"w{writer}-{number}" for number in range(IDS_PER_WRITER)]
    for version in range(WRITES_PER_WRITER):
        chosen = choice.choice(own, choice.integers(1, 12), replace=False).tolist()
        is_delete = choice.random() < 0.3
        events = history.begin(chosen, None if is_delete else version)
        operation = Delete(chosen) if is_delete else Upsert([versioned(name, version, DIMENSION) for name in chosen])
        collection.write(operation).result()
        history.end(events)


def search_everything(collection, history, query, *, where, exact):
    """With a limit past all that match, a filter and any index give all of them."""
    began = history.now()
    hits = nearest(collection, query, EVERYTHING, where=where, exact=exact)
    possible = history.possible(began, history.now())
    found = {hit.id: hit.payload["version"] for hit in hits}
    assert len(found) == len(hits)
    for hit in hits:
        assert is_whole(hit, query, COSINE_TOLERANCE)
        assert found[hit.id] in possible[hit.id]
    for item_id, versions in possible.items():
        if all(is_match(version, where) for version in versions):
            assert item_id in found, (item_id, versions)


def search_best(collection, history, query, *, where, exact):
    """Of the best, each was there; and, if it is exact, all that stayed and are nearer than the last are among them."""
    began = history.now()
    hits = nearest(collection, query, 10, where=where, exact=exact)
    possible = history.possible(began, history.now())
    sure = [name for name, versions in possible.items() if all(is_match(version, where) for version in versions)]
    assert len(hits) >= min(10, len(sure))
    for hit in hits:
        assert is_whole(hit, query, COSINE_TOLERANCE)
        assert hit.payload["version"] in possible[hit.id]
        assert is_match(hit.payload["version"], where)
    if exact and hits:
        for name in set(sure) - set(ids(hits)):
            cosines = [float(versioned(name, version, DIMENSION).vector @ query) for version in possible[name]]
            assert min(cosines) <= hits[-1].score + COSINE_TOLERANCE


def is_match(version, where):
    return version is not None and (where is None or version % 2 == 1)


def search_until(collection, history, are_written, searcher):
    """Search in every way, at least once each, until all is written."""
    ways = list(itertools.product([search_everything, search_best], [None, ODD], [False, True]))
    queries = unit_vectors(100 + searcher, 1000, DIMENSION)
    searches = 0
    while searches < len(ways) or not are_written.is_set():
        search, where, exact = ways[searches % len(ways)]
        search(collection, history, queries[searches % len(queries)], where=where, exact=exact)
        searches += 1
    return searches


def watch(collection, are_written):
    while not are_written.is_set():
        statistics = collection.statistics()
        assert statistics.items <= EVERYTHING
        assert statistics.disk_bytes > 0


@pytest.fixture
def published(monkeypatch):
    """The bodies that were published; None where one was given up."""
    bodies = []
    publish = Collection._publish

    def note_and_publish(collection, body):
        bodies.append(body)
        publish(collection, body)

    monkeypatch.setattr(Collection, "_publish", note_and_publish)
    return bodies


def test_writers_searchers_and_builds_at_once(published, collection, executor, tmp_path):
    history, are_written = History(), threading.Event()
    with ThreadPoolExecutor() as pool:
        searchers = [pool.submit(search_until, collection, history, are_written, number) for number in range(3)]
        watcher = pool.submit(watch, collection, are_written)
        try:
            writers = [pool.submit(write, collection, history, writer) for writer in range(WRITERS)]
            for writer in writers:
                writer.result(HANG_SECONDS)
        finally:
            are_written.set()
        for other in (*searchers, watcher):
            other.result(HANG_SECONDS)
    executor.submit(lambda: None).result(HANG_SECONDS)
    assert len(published) > 1
    query = unit_vectors(99, 1, DIMENSION)[0]
    search_everything(collection, history, query, where=None, exact=True)
    collection.close()
    reopened = Collection.open(tmp_path / "busy", executor=executor)
    search_everything(reopened, history, query, where=None, exact=True)
    search_everything(reopened, history, query, where=ODD, exact=False)
    reopened.close()
