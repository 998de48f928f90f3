"""The bound counts what Python really keeps, and the least recently used goes first."""

import random
import tracemalloc

import pytest

from simila.engine.vector_cache import ENTRY_OVERHEAD_BYTES, CachedVector, VectorCache

DIMENSION = 384
ENTRY_BYTES = 4 * DIMENSION + ENTRY_OVERHEAD_BYTES


def entry(tokens=3, dimension=DIMENSION):
    return CachedVector(random.randbytes(4 * dimension), 300 + tokens, False)


def test_the_least_recently_used_goes_first():
    cache = VectorCache(3 * ENTRY_BYTES)
    entries = {key: entry(position) for position, key in enumerate([b"a", b"b", b"c", b"d"])}
    for key in (b"a", b"b", b"c"):
        cache.put(key, entries[key])
    assert cache.get(b"a") is entries[b"a"]
    cache.put(b"d", entries[b"d"])
    assert [cache.get(key) for key in entries] == [entries[b"a"], None, entries[b"c"], entries[b"d"]]
    assert (cache.statistics.entries, cache.statistics.evictions) == (3, 1)
    assert cache.statistics.size_bytes == 3 * ENTRY_BYTES


def test_an_entry_put_again_counts_once():
    cache = VectorCache(3 * ENTRY_BYTES)
    for _ in range(5):
        cache.put(b"a", latest := entry())
    assert cache.get(b"a") is latest
    assert (cache.statistics.entries, cache.statistics.evictions) == (1, 0)
    assert cache.statistics.size_bytes == ENTRY_BYTES


def test_what_does_not_fit_at_all_pushes_nothing_out():
    cache = VectorCache(ENTRY_BYTES)
    cache.put(b"a", entry())
    cache.put(b"b", entry(dimension=DIMENSION + 1))
    assert cache.get(b"a") is not None
    assert cache.get(b"b") is None
    assert cache.statistics.evictions == 0


@pytest.mark.parametrize("dimension", [8, 384, 1280])
@pytest.mark.parametrize("entries", [1_000, 3_000])
def test_the_bound_holds_for_the_memory_of_the_process(dimension, entries):
    capacity_bytes = entries * (4 * dimension + ENTRY_OVERHEAD_BYTES)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        cache = VectorCache(capacity_bytes)
        for number in range(3 * entries):
            cache.put(random.randbytes(32), entry(number, dimension))
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert cache.statistics.entries == entries
    assert 0.6 * capacity_bytes < used <= capacity_bytes
