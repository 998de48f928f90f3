"""Memory that was freed, and that the allocator keeps."""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

M_MMAP_THRESHOLD = -3  # mallopt(3)
LASTING_BLOCK_BYTES = 64 * 2**10
# What glibc's own, moving threshold comes to in a process that handles images.
PASSING_BLOCK_BYTES = 32 * 2**20

_lock = threading.Lock()
_allocating = 0


def give_back_freed_memory() -> None:
    """Give what was freed back to the system, after work that took much for a while.

    glibc keeps it in case it is needed again; other allocators have no such function, and nothing is done.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)


@contextmanager
def lasting_allocations() -> Iterator[None]:
    """Have glibc map what is allocated meanwhile block by block, so that each goes back to the system once it is freed.

    Else blocks that are kept for long, such as weights, lie on a heap among others, and holes remain where they were.
    """
    _count_allocating(+1)
    try:
        yield
    finally:
        _count_allocating(-1)


def _count_allocating(change: int) -> None:
    global _allocating  # noqa: PLW0603  as the threshold is, it is the process's
    with _lock:
        _allocating += change
        set_option = getattr(ctypes.CDLL(None), "mallopt", None)
        if set_option:
            set_option(M_MMAP_THRESHOLD, LASTING_BLOCK_BYTES if _allocating else PASSING_BLOCK_BYTES)
