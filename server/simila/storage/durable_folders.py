"""Files and folders that outlast a power cut: a name is on disk only once the folder that holds it is."""

import os
from pathlib import Path


def make_folder(path: Path) -> None:
    """Create a folder, and its parents, for this user alone; one that exists stays as it is."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    sync_folder(path.parent)


def rename_folder(source: Path, target: Path) -> None:
    """Rename a complete folder within its parent; after a crash it has the old name or the new one."""
    sync_folder(source)
    source.rename(target)
    sync_folder(target.parent)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file for this user alone; after a crash it has the old content or the new."""
    new = path.with_name(f"{path.name}.new")
    write_file(new, content)
    new.rename(path)
    sync_folder(path.parent)


def write_file(path: Path, content: bytes) -> None:
    """Write a file for this user alone, and wait until its content, not yet its name, is on disk."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_file(path: Path) -> None:
    """Wait until what others wrote into this file is on disk."""
    _sync(path, os.O_RDONLY)


def sync_folder(path: Path) -> None:
    """Wait until the names in this folder are on disk."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
