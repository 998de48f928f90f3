"""Files in the making: where they lie until they are whole, and how they come to their place."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scratch_folder(root: Path) -> Iterator[Path]:
    """Lend an empty folder under `root`, to one process at a time; what a killed process left there is removed.

    Raises:
        OSError: `root` cannot be written.

    """
    root.mkdir(parents=True, exist_ok=True)
    scratch = root / ".scratch"
    with (root / ".scratch.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel releases it with the process, however that ends
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        try:
            # A name of its own: a child of a killed process may still be writing into the folder it was given.
            yield Path(tempfile.mkdtemp(dir=scratch))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def publish(made: Path, target: Path) -> None:
    """Move a finished file or folder to its place: `target` is whole or absent at every moment, also after a power cut.

    Raises:
        OSError: `target` cannot be written.

    """
    for path in (made, *made.rglob("*")):
        _flush_to_disk(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        target.rename(made.with_name(f"{made.name}.replaced"))
    made.replace(target)
    _flush_to_disk(target.parent)


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
