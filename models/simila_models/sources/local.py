"""`file:FOLDER`: files that already lie on this disk."""

from pathlib import Path

from simila.domain.errors import FetchFailed
from simila.domain.manifest import SourceFile
from simila_models.integrity import sha256_of
from simila_models.progress import Progress
from simila_models.sources.cache import check_hash


def verified_path(file: SourceFile, manifest_folder: Path, progress: Progress) -> Path:
    """Return where the file lies, once it has been found to be what the manifest says.

    Raises:
        FetchFailed: it cannot be read.
        HashMismatch: it is something else.

    """
    path = manifest_folder / file.source.removeprefix("file:") / file.path
    description = f"check {path.name}"
    progress.step(description, 0, 1, unit="steps")
    try:
        found = sha256_of(path)
    except OSError as error:
        raise FetchFailed(
            f"the manifest's file {path} (role '{file.role}') cannot be read: {error.strerror}"
        ) from error
    check_hash(file, found)
    progress.step(description, 1, 1, unit="steps")
    return path.resolve()
