"""Memory that was freed, and that the allocator keeps."""

import ctypes


def give_back_freed_memory() -> None:
    """Give what was freed back to the system, after work that took much for a while.

    glibc keeps it in case it is needed again; other allocators have no such function, and nothing is done.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)
