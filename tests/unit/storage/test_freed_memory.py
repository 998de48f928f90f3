"""What was freed goes back to the system."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from simila.storage.freed_memory import give_back_freed_memory

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


# In a process of its own: here the heap has holes, and what fits into one is not mapped.
BETWEEN_OTHERS = """
import sys
from contextlib import nullcontext
sys.path[:0] = sys.argv[2:]
from simila.storage.freed_memory import lasting_allocations
from unit.storage.test_freed_memory import own_bytes

weights, others = [], []
with lasting_allocations() if sys.argv[1] == "lasting" else nullcontext():
    for _ in range(2000):
        weights.append(bytearray(100_000))
        others.append(bytearray(1000))
held = own_bytes()
del weights
print(held - own_bytes())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("how", "least", "most"), [("lasting", 180, 250), ("plain", -20, 20)])
def test_lasting_memory_goes_back_when_it_is_freed_whatever_lies_around_it(how, least, most):
    command = [sys.executable, "-c", BETWEEN_OTHERS, how, str(Path(__file__).parents[2])]
    freed = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert least * MEBI <= freed <= most * MEBI
