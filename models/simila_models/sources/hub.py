"""`hf:ORG/NAME@COMMIT`: files of a repository on the Hugging Face hub, or, offline, in the hub's cache on this disk."""

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from simila.domain.errors import FetchFailed, InvalidManifest
from simila.domain.manifest import SourceFile
from simila_models.progress import Progress
from simila_models.sources.cache import store

_SOURCE = re.compile(r"(?P<repository>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)@(?P<revision>[A-Za-z0-9][\w./-]*)")


def parse(source: str) -> tuple[str, str]:
    """Split `ORG/NAME@REVISION`.

    Raises:
        InvalidManifest: it is written otherwise.

    """
    if not (match := _SOURCE.fullmatch(source)):
        raise InvalidManifest(f"the source 'hf:{source}' is not of the form hf:ORG/NAME@REVISION")
    return match["repository"], match["revision"]


def list_files(source: str, *, offline: bool = False) -> tuple[str, list[str]]:
    """The commit that a revision is now, and the paths of its files; `offline`, as the hub's cache has them.

    Raises:
        InvalidManifest: the source is written wrongly.
        FetchFailed: the hub does not answer, or has no such repository; it is not in the cache.

    """
    repository, revision = parse(source)
    if offline:
        snapshot = _cached_snapshot(source)
        return snapshot.name, [path.relative_to(snapshot).as_posix() for path in snapshot.rglob("*") if path.is_file()]
    with _errors_explained(source):
        from huggingface_hub import HfApi  # noqa: PLC0415  it comes with the export extra only

        info = HfApi().model_info(repository, revision=revision)
    return str(info.sha), [file.rfilename for file in info.siblings or ()]


def fetch_members(source: str, files: Sequence[SourceFile], cache_dir: Path, scratch: Path, progress: Progress) -> None:
    """Fetch files and store them.

    Raises:
        FetchFailed: the hub does not answer, lacks a file, or the disk is full.
        HashMismatch: a file is not what the manifest says.

    """
    for file in files:
        path = download(source, file.path, scratch, progress)
        with path.open("rb") as stream:
            store(stream, path.stat().st_size, file, cache_dir, scratch, progress)
        path.unlink()


def download(source: str, path: str, folder: Path, progress: Progress, *, offline: bool = False) -> Path:
    """Fetch one file into a folder; `offline`, from the hub's cache.

    Raises:
        FetchFailed: the hub does not answer, or lacks the file; it is not in the cache.

    """
    if offline:
        copy = folder / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        return shutil.copyfile(_cached_snapshot(source) / path, copy)
    repository, revision = parse(source)
    description = f"download {path} of {repository}"
    progress.step(description, 0, 1, unit="steps")
    with _errors_explained(source):
        from huggingface_hub import hf_hub_download  # noqa: PLC0415  as above

        fetched = Path(hf_hub_download(repository, path, revision=revision, local_dir=folder))
    progress.step(description, 1, 1, unit="steps")
    return fetched


def _cached_snapshot(source: str) -> Path:
    """The folder of a revision, called by its commit: https://huggingface.co/docs/huggingface_hub/guides/manage-cache.

    The hub's own functions are not asked for it: even with `local_files_only` they have been seen to ask the network.
    """
    repository, revision = parse(source)
    with _errors_explained(source):
        from huggingface_hub.constants import HF_HUB_CACHE  # noqa: PLC0415  as above
    place = Path(HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"
    reference = place / "refs" / revision
    snapshot = place / "snapshots" / (reference.read_text("ascii").strip() if reference.is_file() else revision)
    if not snapshot.is_dir():
        raise FetchFailed(f"hf:{source} is not in the hub's cache {HF_HUB_CACHE}, and nothing is fetched offline")
    return snapshot


@contextmanager
def _errors_explained(source: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise FetchFailed(f"fetching hf:{source} needs {error.name}: pip install 'simila[cpu,export]'") from error
    except Exception as error:  # its errors are those of its HTTP client, which changes
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise FetchFailed(f"the hub cannot give hf:{source}: {reason}") from error
