"""`pypi:NAME==VERSION`: files that ship in a wheel, fetched with pip and the user's own pip configuration."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from simila.domain.errors import FetchFailed, InvalidManifest
from simila.domain.manifest import SourceFile
from simila_models.progress import Progress
from simila_models.sources.cache import store

_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.+!_-]*")
_POLL_SECONDS = 0.2


def fetch_members(
    requirement: str, files: Sequence[SourceFile], cache_dir: Path, scratch: Path, progress: Progress
) -> None:
    """Fetch one wheel and store the files it is wanted for.

    Raises:
        InvalidManifest: the requirement is no `NAME==VERSION`.
        FetchFailed: pip cannot fetch the wheel, the wheel lacks a file, or the disk is full.
        HashMismatch: a file is not what the manifest says.

    """
    if not _REQUIREMENT.fullmatch(requirement):
        raise InvalidManifest(f"the source 'pypi:{requirement}' is not of the form pypi:NAME==VERSION")
    wheel = _download(requirement, scratch, progress)
    try:
        with ZipFile(wheel) as archive:
            for file in files:
                _store_member(archive, file, cache_dir, scratch, progress)
    except BadZipFile as error:
        raise FetchFailed(f"the wheel {wheel.name} is damaged ({error}); run it again") from error
    wheel.unlink()


def _store_member(archive: ZipFile, file: SourceFile, cache_dir: Path, scratch: Path, progress: Progress) -> None:
    try:
        member = archive.getinfo(file.path)
    except KeyError as error:
        raise FetchFailed(f"the wheel of {file.source.removeprefix('pypi:')} has no file {file.path}") from error
    with archive.open(member) as stream:
        store(stream, member.file_size, file, cache_dir, scratch, progress)


def _download(requirement: str, scratch: Path, progress: Progress) -> Path:
    folder = scratch / requirement
    folder.mkdir()
    log = scratch / "pip.log"
    # No pip cache: after a wrong hash the next run must not get the same bytes again.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--progress-bar=off", "--no-input", "--dest", str(folder), requirement]
    with log.open("wb") as output:
        # pip's temporary files on the same disk: it is the one that has to have room, and their growth is the progress.
        environment = os.environ | {"TMPDIR": str(scratch)}
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)  # noqa: S603
        try:
            _watch(process, scratch, f"download {requirement}", progress)
        finally:
            process.kill()
            process.wait()
    if process.returncode != 0:
        raise FetchFailed(_explanation(requirement, log.read_text(encoding="utf-8", errors="replace"), scratch))
    return next(folder.glob("*.whl"))


def _watch(process: subprocess.Popen[bytes], scratch: Path, description: str, progress: Progress) -> None:
    while True:
        progress.step(description, _size_bytes(scratch), None, unit="bytes")
        try:
            process.wait(_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        size_bytes = _size_bytes(scratch)
        progress.step(description, size_bytes, size_bytes, unit="bytes")
        return


def _size_bytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # pip moves its files while they are counted
            continue
    return total


def _explanation(requirement: str, log: str, scratch: Path) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    reason = (errors or lines or ["it said nothing"])[-1]
    if "No space left on device" in log:
        return f"{scratch.parent.parent}: no room for the wheel of {requirement}; make room and run it again"
    if "No module named pip" in log:
        return f"{requirement} is fetched with pip, which {sys.executable} does not have; run: python -m ensurepip"
    if "Retrying (" in log:
        reason += " (the package index did not answer: is there a network?)"
    return f"pip cannot fetch {requirement}: {reason}. Try by hand: python -m pip download --no-deps {requirement}"
