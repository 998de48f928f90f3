"""What was freed goes back to the system."""

import re
import sys
from pathlib import Path

import pytest

from simila.storage.freed_memory import give_back_freed_memory, lasting_allocations

MEBI = 2**20


def own_bytes():
    return int(re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_that_was_freed_is_given_back():
    pieces = [bytearray(2000) for _ in range(100_000)]  # small enough for glibc to keep them
    kept = pieces[::50]  # so that it cannot give back the top alone
    held = own_bytes()
    del pieces
    give_back_freed_memory()
    assert own_bytes() < held - 100 * MEBI
    assert len(kept) == 2000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_lasting_memory_goes_back_when_it_is_freed_whatever_lies_around_it():
    with lasting_allocations():
        weights = [bytearray(100_000) for _ in range(2000)]
    held = own_bytes()
    kept = [bytearray(10_000) for _ in range(2000)]
    del weights
    assert own_bytes() < held - 150 * MEBI
    assert len(kept) == 2000
