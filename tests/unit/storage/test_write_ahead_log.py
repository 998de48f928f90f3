"""A damaged write-ahead log is refused and kept; one that a crash cut short is read."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from simila.domain.errors import CollectionUnavailable
from simila.domain.results import Item
from simila.storage.collection_file import CollectionSpec
from simila.storage.collection_store import CollectionStore
from simila.storage.item_writes import Upsert
from simila.storage.write_ahead_log import check_log

SPEC = CollectionSpec.new("shoes", encoder="e", fingerprint="f", dimension=3)
EAST = np.array([1, 0, 0], dtype=np.float32)
WRITES = 12
HEADER_BYTES = 32
FRAME_BYTES = 24 + 8192


@pytest.fixture
def path(tmp_path):
    """What a process leaves that is killed after `WRITES` transactions: the database and its log."""
    source = tmp_path / "source.sqlite"
    target = tmp_path / "items.sqlite"
    CollectionStore.create(source, SPEC).close()
    with closing(CollectionStore.open(source)) as store:
        for number in range(WRITES):
            store.submit(Upsert([Item(str(number), EAST)])).result()
        target.write_bytes(source.read_bytes())
        log_of(target).write_bytes(log_of(source).read_bytes())
    return target


def log_of(path):
    return path.with_name(f"{path.name}-wal")


def commit_ends(content):
    """Where each transaction of a log ends, in bytes."""
    starts = range(HEADER_BYTES, len(content), FRAME_BYTES)
    return [start + FRAME_BYTES for start in starts if content[start + 4 : start + 8] != bytes(4)]


def flip(path, offset):
    content = bytearray(log_of(path).read_bytes())
    content[offset] ^= 1
    log_of(path).write_bytes(content)


def ids(path):
    with closing(CollectionStore.open(path)) as store:
        return [row.id for row in store.reader.page(0, 100)]


def first_ids(count):
    return [str(number) for number in range(count)]


def test_a_log_of_many_transactions_is_read(path):
    assert len(commit_ends(log_of(path).read_bytes())) == WRITES
    assert ids(path) == first_ids(WRITES)


def test_a_file_without_a_log_or_with_an_empty_one_passes(path):
    assert ids(path) == first_ids(WRITES)
    assert not log_of(path).exists()
    check_log(path)
    log_of(path).touch()
    check_log(path)


@pytest.mark.parametrize("kept", [0, 1, 23, 24, 25, 4000, FRAME_BYTES, FRAME_BYTES + 100, -FRAME_BYTES, -1])
def test_a_log_cut_anywhere_in_its_last_transaction_is_read(path, kept):
    content = log_of(path).read_bytes()
    *_, last_but_one, last = commit_ends(content)
    log_of(path).write_bytes(content[: kept + (last_but_one if kept >= 0 else last)])
    assert ids(path) == first_ids(WRITES - 1)


@pytest.mark.parametrize("size", [1, 31, HEADER_BYTES, HEADER_BYTES + 10, HEADER_BYTES + 5000])
def test_a_log_without_a_whole_frame_is_read(path, size):
    log_of(path).write_bytes(log_of(path).read_bytes()[:size])
    assert ids(path) == []


@pytest.mark.parametrize("transaction", [0, 1, WRITES // 2, WRITES - 3, WRITES - 2])
@pytest.mark.parametrize("place", [3, 9, 13, 17, 24, 6000])
def test_a_bit_that_flips_before_the_last_transaction_is_refused_and_the_log_kept(path, transaction, place):
    content = log_of(path).read_bytes()
    start = [HEADER_BYTES, *commit_ends(content)][transaction]
    flip(path, start + place)
    damaged = log_of(path).read_bytes()
    lost = (len(content) - start) // FRAME_BYTES - (place in {9, 13})  # whose salts are damaged is not counted
    for _ in range(2):
        with pytest.raises(CollectionUnavailable, match=f"log is damaged, and with it {lost} frames"):
            CollectionStore.open(path)
        assert log_of(path).read_bytes() == damaged


def test_a_bit_that_flips_in_the_commit_frame_of_the_last_but_one_is_refused(path):
    flip(path, commit_ends(log_of(path).read_bytes())[-2] - 1)
    with pytest.raises(CollectionUnavailable, match="log is damaged"):
        CollectionStore.open(path)


@pytest.mark.parametrize("place", [1, 4000, FRAME_BYTES - 1])
def test_a_bit_that_flips_in_the_last_transaction_is_taken_for_a_torn_write(path, place):
    flip(path, commit_ends(log_of(path).read_bytes())[-2] + place)
    assert ids(path) == first_ids(WRITES - 1)


@pytest.mark.parametrize("place", [0, 3, 6, 9, 13, 17, 22, 25, 31])
def test_a_damaged_header_is_refused(path, place):
    flip(path, place)
    with pytest.raises(CollectionUnavailable, match="header of its write-ahead log is damaged"):
        CollectionStore.open(path)


def test_frames_of_an_earlier_use_of_the_log_are_passed_over(path):
    """The log begins anew after a checkpoint, and is longer than what is written to it then."""
    copy = path.with_name("copy.sqlite")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(RESTART)")
        old = log_of(path).read_bytes()
        connection.execute("DELETE FROM payload_indexes")
        connection.execute("UPDATE upkeep SET removed_when_swept = 1")
        new = log_of(path).read_bytes()
        copy.write_bytes(path.read_bytes())
        log_of(copy).write_bytes(new)
    assert len(new) == len(old)
    assert (new[:FRAME_BYTES] != old[:FRAME_BYTES], new[-FRAME_BYTES:] == old[-FRAME_BYTES:]) == (True, True)
    assert ids(copy) == first_ids(WRITES)


def test_what_an_earlier_torn_transaction_left_behind_another_is_no_damage(path):
    """Two commit frames that SQLite does not read, of which nobody was told."""
    content = log_of(path).read_bytes()
    ends = commit_ends(content)
    torn = bytearray(content)
    torn[ends[-4] + 4000] ^= 1  # the first frame of the last but two
    earlier = torn[: ends[-3]]
    later = bytearray(content[ends[-3] : ends[-2]])
    for start in range(0, len(later), FRAME_BYTES):
        later[start + 4000] ^= 1  # none follows the frame before it
    log_of(path).write_bytes(earlier + later)
    assert ids(path) == first_ids(WRITES - 3)


def test_a_log_that_gives_an_error_is_refused(path):
    log_of(path).unlink()
    log_of(path).mkdir()
    with pytest.raises(CollectionUnavailable, match="log gives an error: Is a directory"):
        check_log(path)


def test_logs_longer_than_what_is_read_at_once_are_checked_throughout(path, monkeypatch):
    monkeypatch.setattr("simila.storage.write_ahead_log._CHUNK_BYTES", 3 * FRAME_BYTES)
    check_log(path)
    flip(path, commit_ends(log_of(path).read_bytes())[1])
    with pytest.raises(CollectionUnavailable, match="log is damaged"):
        check_log(path)
