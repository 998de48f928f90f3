"""A disk without room, as the kernel plays it for the files of this process."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_file_larger_than(limit_bytes: int) -> Iterator[None]:
    """The kernel writes what still fits, and refuses the rest (EFBIG; Python ignores SIGXFSZ).

    No fixture: pytest would write its progress under this limit, and stop if that goes to a longer file.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
