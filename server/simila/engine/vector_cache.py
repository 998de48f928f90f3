"""Vectors that were computed before, bounded in bytes."""

from collections import OrderedDict
from dataclasses import dataclass

# What CPython 3.11 on 64 bits keeps beside the vector's own bytes: the key and the headers of key, vector and
# entry, and the entry's share of an ordered dictionary just after it has grown; 385 at most were measured.
ENTRY_OVERHEAD_BYTES = 400


@dataclass(frozen=True, slots=True)
class CachedVector:
    """What is known of one input; `vector` holds the bytes of a `float32 [d], unit length`."""

    vector: bytes
    tokens: int
    truncated: bool

    @property
    def size_bytes(self) -> int:
        return len(self.vector) + ENTRY_OVERHEAD_BYTES


@dataclass
class CacheStatistics:
    """What became of every input since the start, and what is held now."""

    hits: int = 0
    """Answered from what is stored."""
    shared: int = 0
    """Answered by a computation that was on its way for an equal input."""
    misses: int = 0
    """Computed, whatever came of it."""
    evictions: int = 0
    entries: int = 0
    size_bytes: int = 0


class VectorCache:
    """Vectors by content hash, of all encoders together; the least recently used go first.

    `statistics.size_bytes` never exceeds `capacity_bytes`. Not thread-safe: it belongs to the event loop.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._entries: OrderedDict[bytes, CachedVector] = OrderedDict()
        self.statistics = CacheStatistics()

    def get(self, key: bytes) -> CachedVector | None:
        entry = self._entries.get(key)
        if entry:
            self._entries.move_to_end(key)
        return entry

    def clear(self) -> None:
        """Drop every entry."""
        self._entries.clear()
        self.statistics.entries = self.statistics.size_bytes = 0

    def put(self, key: bytes, entry: CachedVector) -> None:
        """Keep an entry, if there is room for it at all."""
        if entry.size_bytes > self._capacity_bytes:
            return
        replaced = self._entries.pop(key, None)
        self._entries[key] = entry
        statistics = self.statistics
        statistics.size_bytes += entry.size_bytes - (replaced.size_bytes if replaced else 0)
        while statistics.size_bytes > self._capacity_bytes:
            statistics.size_bytes -= self._entries.popitem(last=False)[1].size_bytes
            statistics.evictions += 1
        statistics.entries = len(self._entries)
