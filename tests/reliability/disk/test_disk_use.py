"""Disk stays under twice what is live: after deletes, after bodies, and while one is saved beside another."""

import json

import numpy as np
import pytest

from memory_vectors import clustered_vectors
from simila.index import body_file
from simila.index.collection import Collection
from simila.storage import group_commit
from simila.storage.collection_file import CollectionSpec
from simila.storage.item_writes import Delete, UpsertArrays
from small_collections import ENCODER, HeldExecutor, lower_flat_values, new_folder

DIMENSION = 384
ROWS = 4000
FLAT_ROWS = 1000
# A database of a few pages is mostly its empty tables.
EMPTY_BYTES = 400_000
SPEC = CollectionSpec.new("lean", dimension=DIMENSION, **ENCODER)
VECTORS = clustered_vectors(0, ROWS, DIMENSION)
PAYLOADS = [json.dumps({"n": number, "title": f"item number {number}"}) for number in range(ROWS)]


@pytest.fixture
def executor():
    return HeldExecutor()


@pytest.fixture
def collection(tmp_path, monkeypatch, executor):
    lower_flat_values(monkeypatch, FLAT_ROWS * DIMENSION)
    monkeypatch.setattr(group_commit, "_LINGER_SECONDS", 0.01)
    collection = Collection.open(new_folder(tmp_path, SPEC), executor=executor)
    yield collection
    collection.close()


def upsert(collection, numbers):
    ids, payloads = [f"item{number}" for number in numbers], [PAYLOADS[number] for number in numbers]
    collection.write(UpsertArrays(ids, VECTORS[list(numbers)], None, payloads)).result()


def live_bytes(rows):
    """Vectors, ids and payloads, without any overhead."""
    return rows * (DIMENSION * 4 + len(PAYLOADS[0]) + len("item1234")) + EMPTY_BYTES


def disk_bytes(collection):
    """Once the writer has nothing left to tidy; beside a reader it leaves its log to the next write."""
    collection.write(Delete([])).result()
    thread = collection._store._writer._thread
    if thread is not None:
        thread.join()
    return collection.statistics().disk_bytes


@pytest.mark.parametrize("left", [3000, 1500, 900, 100, 0])
def test_after_deletes_and_a_build_disk_is_under_twice_what_is_left(collection, executor, left):
    upsert(collection, range(ROWS))
    executor.run()
    assert disk_bytes(collection) < 2 * live_bytes(ROWS)
    gone = np.random.default_rng(0).permutation(ROWS)[left:]
    for some in np.array_split(gone, 7):
        collection.write(Delete([f"item{number}" for number in some])).result()
    executor.run()
    assert collection.statistics().items == left
    assert disk_bytes(collection) < 2 * live_bytes(left)


def test_replacing_everything_over_and_over_takes_no_more_disk(collection, executor):
    for _ in range(4):
        upsert(collection, range(ROWS))
        executor.run()
        assert disk_bytes(collection) < 2 * live_bytes(ROWS)


def test_no_more_than_two_bodies_are_on_disk_while_one_is_saved(collection, executor, monkeypatch):
    upsert(collection, range(0, ROWS, 2))
    executor.run()
    sizes, write = [], body_file._write

    def write_and_note(path, content):
        written = write(path, content)
        indexes = list(path.parent.glob("body*.faiss"))
        sizes.append((len(indexes), sum(file.stat().st_size for file in path.parent.iterdir())))
        return written

    monkeypatch.setattr(body_file, "_write", write_and_note)
    for _ in range(3):
        upsert(collection, range(1, ROWS, 2))
        disk_bytes(collection)
        executor.run()
    assert {bodies for bodies, _ in sizes} == {2}
    assert max(total for _, total in sizes) < 2 * live_bytes(ROWS)
    assert len(list(collection.folder.glob("body*"))) == 3


def test_memory_of_the_body_is_mapped_and_the_head_is_let_go(collection, executor):
    """The rows that a body holds are not in memory as well."""
    upsert(collection, range(ROWS))
    head = collection._view.head
    assert sum(chunk.vectors.nbytes for chunk in head._chunks) >= ROWS * DIMENSION * 4
    executor.run()
    assert collection._view.head.rows == 0
    assert not collection._view.head._chunks
