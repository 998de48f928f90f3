"""A file shrinks with what it holds, and its log stays short."""

import re
from contextlib import closing

import numpy as np
import pytest

from simila.domain.errors import StorageFailed
from simila.storage.collection_file import CollectionSpec
from simila.storage.collection_store import CollectionStore
from simila.storage.item_writes import Delete, UpsertArrays

DIMENSION = 384
ITEMS = 20_000
LIVE_BYTES_PER_ITEM = 4 * DIMENSION + len("item00000")
SMALLEST_WAL_BYTES = 4 * 2**20
TIMEOUT_SECONDS = 60


def vectors(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)


def names(numbers):
    return [f"item{number:05}" for number in numbers]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "items.sqlite"


@pytest.fixture
def store(path):
    spec = CollectionSpec.new("shoes", encoder="e", fingerprint="f", dimension=DIMENSION)
    with closing(CollectionStore.create(path, spec)) as store:
        store.submit(UpsertArrays(names(range(ITEMS)), vectors(ITEMS))).result(TIMEOUT_SECONDS)
        yield store


def wait_until_tidy(store):
    thread = store._writer._thread
    if thread is not None:
        thread.join(TIMEOUT_SECONDS)
    assert store._writer._thread is None


@pytest.mark.parametrize("deleted_fraction", [0.4, 0.65, 0.9])
def test_after_deletes_at_random_the_file_is_near_what_it_holds(store, deleted_fraction):
    order = np.random.default_rng(1).permutation(ITEMS)
    gone, kept = np.split(order, [int(ITEMS * deleted_fraction)])
    for part in np.array_split(gone, 5):
        store.submit(Delete(names(part))).result(TIMEOUT_SECONDS)
    wait_until_tidy(store)
    assert store.disk_bytes() < 1.35 * len(kept) * LIVE_BYTES_PER_ITEM + 2**18
    found, stored = store.reader.vectors(np.sort(kept) + 1)
    assert np.array_equal(found, np.sort(kept) + 1)
    assert stored.tobytes() == vectors(ITEMS)[np.sort(kept)].tobytes()
    store.check_pages()
    assert [row.id for row in store.reader.page(0, 3)] == names(np.sort(kept)[:3])


def test_replacing_everything_at_random_does_not_grow_the_file(store):
    order = np.random.default_rng(1).permutation(ITEMS)
    for part in np.array_split(np.concatenate([order, order[::-1]]), 10):
        store.submit(UpsertArrays(names(part), vectors(len(part), 2))).result(TIMEOUT_SECONDS)
    wait_until_tidy(store)
    assert store.disk_bytes() < 1.35 * ITEMS * LIVE_BYTES_PER_ITEM
    assert store.reader.count() == ITEMS


def test_a_sweep_that_a_stop_cut_short_is_done_after_the_next_start(path, store):
    gone = np.random.default_rng(1).permutation(ITEMS)[: int(ITEMS * 0.65)]
    store.submit(Delete(names(gone))).result(TIMEOUT_SECONDS)
    store.close()
    live_bytes = (ITEMS - len(gone)) * LIVE_BYTES_PER_ITEM
    with closing(CollectionStore.open(path)) as reopened:
        assert reopened.disk_bytes() > 2 * live_bytes
        reopened.submit(Delete(["item of no name"])).result(TIMEOUT_SECONDS)
        wait_until_tidy(reopened)
        assert reopened.disk_bytes() < 1.35 * live_bytes


def test_an_idle_collection_has_no_log(store, path):
    wait_until_tidy(store)
    assert path.with_name("items.sqlite-wal").stat().st_size == 0


def test_the_log_stays_short_while_writes_and_reads_go_on(store, path):
    wal = path.with_name("items.sqlite-wal")
    longest = 0
    for number in range(30):
        store.submit(UpsertArrays(names(range(1000)), vectors(1000, number))).result(TIMEOUT_SECONDS)
        store.reader.vectors(np.arange(1, 100))
        longest = max(longest, wal.stat().st_size)
    live_bytes = ITEMS * LIVE_BYTES_PER_ITEM
    one_write = 4 * 1000 * LIVE_BYTES_PER_ITEM
    assert longest < max(SMALLEST_WAL_BYTES, live_bytes / 4) + one_write


def test_a_reader_of_an_old_state_holds_nothing_up(store, path):
    with store._connections.lease() as connection:
        connection.execute("BEGIN")
        assert connection.execute("SELECT count(*) FROM items").fetchone() == (ITEMS,)
        store.submit(Delete(names(range(ITEMS)))).result(TIMEOUT_SECONDS)
        wait_until_tidy(store)
        assert connection.execute("SELECT count(*) FROM items").fetchone() == (ITEMS,)
        connection.execute("COMMIT")
    store.submit(Delete(["item of no name"])).result(TIMEOUT_SECONDS)
    wait_until_tidy(store)
    assert path.with_name("items.sqlite-wal").stat().st_size == 0
    assert store.disk_bytes() < 2**18


def test_what_was_deleted_is_in_no_page_once_it_was_erased(path, store):
    random = np.random.default_rng(0)
    for part in np.array_split(random.permutation(ITEMS), 8):  # at random, so that pages of ids are split and merged
        store.submit(UpsertArrays(names(part), vectors(len(part)))).result(TIMEOUT_SECONDS)
    deleted = random.permutation(ITEMS)[:12_000]
    for part in np.array_split(deleted, 30):
        store.submit(Delete(names(part))).result(TIMEOUT_SECONDS)
    gone = {name.encode() for name in names(deleted)}
    assert store.erase_deleted().result(TIMEOUT_SECONDS)
    content = path.read_bytes() + path.with_name(f"{path.name}-wal").read_bytes()
    assert gone.isdisjoint(re.findall(rb"item\d{5}", content))
    assert store.reader.count() == ITEMS - len(deleted)
    store.submit(UpsertArrays(names([int(deleted[0])]), vectors(1))).result(TIMEOUT_SECONDS)
    store.check_pages()


def test_an_erasure_that_the_disk_refuses_is_told_and_the_next_write_goes_on(store, monkeypatch):
    monkeypatch.setattr("simila.storage.disk_space._PATIENCE_MILLISECONDS", "no number of milliseconds '")
    with pytest.raises(StorageFailed, match="what was deleted could not be erased from the disk"):
        store.erase_deleted().result(TIMEOUT_SECONDS)
    monkeypatch.undo()
    assert store.submit(Delete(names([1]))).result(TIMEOUT_SECONDS).ids == names([1])
    assert store.erase_deleted().result(TIMEOUT_SECONDS)
