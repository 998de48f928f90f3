"""The cache of fetched files: `SHA256/NAME`. A file that has this name has been verified."""

import errno
import hashlib
from pathlib import Path, PurePosixPath
from typing import IO

from simila.domain.errors import FetchFailed, HashMismatch
from simila.domain.manifest import SourceFile
from simila_models.progress import Progress
from simila_models.scratch import publish

_CHUNK_BYTES = 2**20


def cached_path(cache_dir: Path, file: SourceFile) -> Path:
    return cache_dir / file.sha256 / PurePosixPath(file.path).name


def store(
    stream: IO[bytes], size_bytes: int, file: SourceFile, cache_dir: Path, scratch: Path, progress: Progress
) -> None:
    """Copy a stream into the cache, if it is what the manifest says.

    Raises:
        HashMismatch: it is something else.
        FetchFailed: the disk is full.

    """
    partial = scratch / file.sha256
    target = cached_path(cache_dir, file)
    try:
        found = _copy(stream, size_bytes, partial, f"unpack {target.name}", progress)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = (
                f"{cache_dir}: no room for {target.name}, which needs {size_bytes:,} bytes; make room and run it again"
            )
            raise FetchFailed(message) from error
        raise
    check_hash(file, found)
    publish(partial, target)


def check_hash(file: SourceFile, found: str) -> None:
    """Compare a file's hash with the manifest's.

    Raises:
        HashMismatch: they differ.

    """
    if found != file.sha256:
        raise HashMismatch(
            f"{file.path} of {file.source}: expected SHA-256 {file.sha256}, found {found}; it is not used"
        )


def _copy(stream: IO[bytes], size_bytes: int, partial: Path, description: str, progress: Progress) -> str:
    digest = hashlib.sha256()
    with partial.open("wb") as output:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
            output.write(chunk)
            progress.step(description, output.tell(), size_bytes, unit="bytes")
    return digest.hexdigest()
