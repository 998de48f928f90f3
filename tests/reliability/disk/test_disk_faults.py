"""A disk that is full, writes half, or fails to sync: what was acknowledged stays, what failed left nothing."""

import ctypes.util
import json

import pytest

from file_size_limit import no_file_larger_than
from memory_vectors import unit_vectors
from reliability.disk.sqlite_faults import FULL, IOERR_FSYNC, IOERR_WRITE, failing
from simila.domain.errors import StorageFailed
from simila.domain.results import Item
from simila.index.collection import ITEMS_FILE, Collection
from simila.storage import group_commit
from simila.storage.collection_file import CollectionSpec
from simila.storage.item_writes import Delete, Upsert
from small_collections import ENCODER, HeldExecutor, ids, is_whole, nearest, new_folder, versioned

DIMENSION = 24
COSINE_TOLERANCE = 1e-6
SPEC = CollectionSpec.new("faulty", dimension=DIMENSION, **ENCODER)
QUERY = unit_vectors(5, 1, DIMENSION)[0]
ITEMS = 12
PADDING = "x" * 60_000  # so that a few writes fill the log, and it is folded in


class Held:
    """A collection, and the version of each item that it must hold."""

    def __init__(self, folder):
        self.folder = folder
        self.collection = Collection.open(folder, executor=HeldExecutor())
        self.versions = {}
        self.failed = []

    def upsert(self, version):
        names = [f"i{(version * 5 + offset) % ITEMS}" for offset in range(8)]
        plain = [versioned(name, version, DIMENSION) for name in names]
        items = [Item(item.id, item.vector, item.label, {**item.payload, "pad": PADDING}) for item in plain]
        self.attempt(Upsert(items), self.versions | dict.fromkeys(names, version))

    def delete(self, name):
        self.attempt(Delete([name]), {other: v for other, v in self.versions.items() if other != name})

    def attempt(self, operation, versions):
        try:
            self.collection.write(operation).result()
        except StorageFailed:
            self.failed.append(versions)
        else:
            self.versions = versions

    def check(self, collection=None, *, others=()):
        found = {}
        for hit in nearest(collection or self.collection, QUERY, ITEMS + 1):
            payload = {key: value for key, value in hit.payload.items() if key != "pad"}
            assert is_whole(hit._replace(payload_json=json.dumps(payload)), QUERY, COSINE_TOLERANCE)
            found[hit.id] = payload["version"]
        assert found in [self.versions, *others]

    def idle_connection(self):
        """The writer's connection, once its thread has ended and nothing is left to tidy."""
        writer = self.collection._store._writer
        if writer._thread is not None:
            writer._thread.join()
        return writer._connection


@pytest.fixture
def held(tmp_path, monkeypatch):
    monkeypatch.setattr(group_commit, "_LINGER_SECONDS", 0.01)
    held = Held(new_folder(tmp_path, SPEC))
    for version in range(3):
        held.upsert(version)
    yield held
    held.collection.close()


def as_a_crash_leaves_it(held, folder):
    """Open a copy of the files, as they are at one moment.

    Files that are copied one after the other may be of two: the writer folds the log into the database meanwhile.
    """
    files, again = None, contents(held.folder)
    while files != again:
        files, again = again, contents(held.folder)
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return Collection.open(folder, executor=HeldExecutor())


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if not path.name.endswith("-shm")}


class FailsFrom:
    """The requests of one kind fail from the n-th on, so many of them."""

    def __init__(self, first, request_kind, code, times):
        self.request_kind = request_kind
        self.code = code
        self.failing = range(first, first + times)
        self.asked = 0

    def __call__(self, request_kind):
        if request_kind != self.request_kind:
            return None
        self.asked += 1
        return self.code if self.asked - 1 in self.failing else None


FAULTS = [
    *(("log", "write", code, first) for code in (FULL, IOERR_WRITE) for first in (0, 1, 7, 40)),
    *(("log", "sync", IOERR_FSYNC, first) for first in (0, 1, 2)),
    *(("database", "write", code, first) for code in (FULL, IOERR_WRITE) for first in (0, 3, 30)),
    ("database", "sync", IOERR_FSYNC, 0),
]


@pytest.mark.skipif(not ctypes.util.find_library("sqlite3"), reason="sqlite3 is linked into Python")
@pytest.mark.parametrize("times", [1, 10**6], ids=["once", "lasting"])
@pytest.mark.parametrize(("file", "request_kind", "code", "first"), FAULTS)
def test_a_failing_disk_loses_nothing_and_half_writes_nothing(held, tmp_path, file, request_kind, code, first, times):
    verdict = FailsFrom(first, request_kind, code, times)
    with failing(held.idle_connection(), file, verdict):
        for version in range(3, 20):
            held.upsert(version)
            held.check()
            if held.failed:
                break
        held.delete("i3")
        copy = as_a_crash_leaves_it(held, tmp_path / "copy")
        # A write whose sync failed is in the log: whether it is on the disk, nobody knows. It is there whole, or not.
        held.check(copy, others=held.failed)
        copy.close()
        held.idle_connection()
    assert verdict.asked > first
    # A sync of the log that fails once may be that of a checkpoint between writes, for which nobody waits.
    if (file, request_kind, times) != ("log", "sync", 1):
        assert bool(held.failed) == (file == "log")
    held.upsert(50)
    assert held.versions["i10"] == 50, "a disk that works again is written again"
    held.check()
    held.collection.check()
    held.collection.close()
    held.collection = Collection.open(held.folder, executor=HeldExecutor())
    held.check()
    held.collection.check()


@pytest.mark.parametrize("room_bytes", [0, 100, 20_000, 300_000])
def test_a_log_that_cannot_grow_loses_nothing(held, tmp_path, monkeypatch, room_bytes):
    # A writer that has nothing to do folds the log in, which makes room: on a busy machine between any two writes.
    monkeypatch.setattr(group_commit, "_LINGER_SECONDS", 600)
    log = held.folder / f"{ITEMS_FILE}-wal"
    held.upsert(3)
    with no_file_larger_than(log.stat().st_size + room_bytes):
        for version in range(4, 14):
            held.upsert(version)
            held.check()
        assert held.failed
    copy = as_a_crash_leaves_it(held, tmp_path / "copy")
    held.check(copy, others=held.failed)
    copy.close()
    held.upsert(50)
    held.check()
    held.collection.check()
    held.collection.close()
    held.collection = Collection.open(held.folder, executor=HeldExecutor())
    held.check()
    assert len(ids(nearest(held.collection, QUERY, ITEMS + 1))) == len(held.versions)
