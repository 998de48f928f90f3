"""A store under faults and under many threads."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest

from file_size_limit import no_file_larger_than
from simila.domain.errors import StorageFailed, UnknownCollection
from simila.domain.results import Item
from simila.storage.collection_file import CollectionSpec
from simila.storage.collection_store import CollectionStore
from simila.storage.item_writes import Delete, Upsert, UpsertArrays

DIMENSION = 8
TIMEOUT_SECONDS = 60
EAST = np.eye(1, DIMENSION, dtype=np.float32)[0]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "items.sqlite"


@pytest.fixture
def store(path):
    spec = CollectionSpec.new("shoes", encoder="e", fingerprint="f", dimension=DIMENSION)
    with closing(CollectionStore.create(path, spec)) as store:
        yield store


def done(store, operation):
    return store.submit(operation).result(TIMEOUT_SECONDS)


def large(item_id):
    return Item(item_id, EAST, payload={"text": "x" * 2_000_000})


def test_a_write_that_the_kernel_refuses_is_an_error_and_keeps_nothing(store, path):
    done(store, Upsert([Item("a", EAST, "kept")]))
    log_bytes = path.with_name("items.sqlite-wal").stat().st_size
    with no_file_larger_than(log_bytes + 500_000), pytest.raises(StorageFailed, match="nothing was written"):
        done(store, Upsert([Item("a", EAST, "lost"), large("b")]))
    assert store.reader.get("a").item.label == "kept"
    assert store.reader.get("b") is None
    assert done(store, Upsert([Item("b", EAST)])).sequences.tolist() == [2]
    store.check_pages()


def test_a_full_disk_is_an_error_and_keeps_nothing(store):
    done(store, Upsert([Item("a", EAST, "kept")]))
    connection = store._writer._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageFailed, match="full"):
        done(store, Upsert([Item("a", EAST, "lost"), large("b")]))
    assert [row.label for row in store.reader.page(0, 10)] == ["kept"]
    connection.execute("PRAGMA max_page_count = 1000000")
    assert done(store, Upsert([Item("b", EAST)])).sequences.tolist() == [2]


def test_every_commit_waits_for_the_disk(store, path):
    for opened in (store, CollectionStore.open(path)):
        assert opened._writer._connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert opened._writer._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    opened.close()


def test_a_closed_store_refuses_reads_and_writes(store, path):
    done(store, Upsert([Item("a", EAST)]))
    store.close()
    for use in (
        lambda: store.reader.get("a"),
        lambda: list(store.reader.scan(0, 10)),
        lambda: store.submit(Delete(["a"])),
        store.check_pages,
        lambda: store.backup_to(path.with_name("backup")),
    ):
        with pytest.raises(UnknownCollection, match="shoes is closed"):
            use()
    assert [file.name for file in path.parent.iterdir()] == ["items.sqlite"]


def test_closing_lets_writes_that_wait_be_taken_over_by_an_index_that_reads(store):
    counts = []
    store.on_commit = lambda _: counts.append(store.reader.count())
    futures = [store.submit(Upsert([Item(str(number), EAST)])) for number in range(100)]
    store.close()
    assert [future.result(0).sequences.tolist() for future in futures] == [[number + 1] for number in range(100)]
    assert counts[-1] == 100


def test_closing_interrupts_a_reader_and_waits_for_it(store):
    begun, outcome = threading.Event(), []

    def read_for_ever():
        try:
            with store._connections.lease() as connection:
                connection.create_function("tell", 0, begun.set)
                endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
                connection.execute(f"SELECT tell(), ({endless})")
        except UnknownCollection as error:
            outcome.append(error.message)

    reader = threading.Thread(target=read_for_ever)
    reader.start()
    assert begun.wait(TIMEOUT_SECONDS)
    store.close()
    reader.join(TIMEOUT_SECONDS)
    assert not store._connections._idle  # had it come back after the others were closed, it would be open for ever
    assert outcome == ["collection shoes is closed: it was deleted, or the server is stopping"]


def test_an_acknowledged_write_is_in_the_next_read(store):
    for number in range(100):
        sequence = int(done(store, Upsert([Item("a", EAST, str(number))])).sequences[0])
        assert store.reader.by_sequence([sequence])[sequence].label == str(number)


def test_of_two_upserts_of_one_id_in_a_commit_the_later_wins(store):
    begun, go_on = threading.Event(), threading.Event()

    def hold(_):
        begun.set()
        assert go_on.wait(TIMEOUT_SECONDS)

    store.on_commit = hold
    store.submit(Upsert([Item("first", EAST)]))
    assert begun.wait(TIMEOUT_SECONDS)
    seen = []
    store.on_commit = seen.append
    futures = [store.submit(Upsert([Item("a", EAST, label)])) for label in ("old", "new")]
    go_on.set()
    old, new = (future.result(TIMEOUT_SECONDS) for future in futures)
    assert len(seen) == 1
    assert new.replaced.tolist() == old.sequences.tolist() == [2]
    assert store.reader.get("a").item.label == "new"


class Alive:
    """The first value of each vector, by sequence, as the commits tell it."""

    def __init__(self):
        self.values = {}

    def take_over(self, changes):
        for change in changes:
            for sequence in change.removed.tolist():
                self.values.pop(sequence)
            self.values.update(zip(change.sequences.tolist(), change.vectors[:, 0].tolist(), strict=True))


def write_at_random(store, seed):
    generator = np.random.default_rng(seed)
    for _ in range(40):
        ids = [f"item{number}" for number in generator.choice(60, size=8, replace=False)]
        if generator.random() < 0.3:
            done(store, Delete(ids))
        else:
            done(store, UpsertArrays(ids, generator.normal(size=(8, DIMENSION)).astype(np.float32)))


def read_until(store, stop):
    while not stop.is_set():
        rows = store.reader.page(0, 100)
        assert len({row.id for row in rows}) == len(rows)
        sequences = np.array([row.sequence for row in rows], dtype=np.int64)
        found, vectors = store.reader.vectors(sequences)
        assert set(found) <= set(sequences)
        assert vectors.shape == (len(found), DIMENSION)


def test_everything_adds_up_under_eight_writers_and_four_readers(store):
    alive, stop = Alive(), threading.Event()
    store.on_commit = alive.take_over
    with ThreadPoolExecutor(12) as threads:
        readers = [threads.submit(read_until, store, stop) for _ in range(4)]
        writers = [threads.submit(write_at_random, store, seed) for seed in range(8)]
        try:
            for writer in writers:
                writer.result(TIMEOUT_SECONDS)
        finally:
            stop.set()
        for reader in readers:
            reader.result(TIMEOUT_SECONDS)
    (chunk,) = store.reader.scan(0, 1000)
    assert dict(zip(chunk.sequences.tolist(), chunk.vectors[:, 0].tolist(), strict=True)) == alive.values
    assert store.reader.count() == len(alive.values)
    store.check_pages()
