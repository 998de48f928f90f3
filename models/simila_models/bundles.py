"""One archive with all that serving an encoder takes: an excerpt of a data folder, which `tar` unpacks as well."""

import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from simila.domain.errors import ModelError
from simila.domain.manifest import Manifest
from simila.domain.model_repository import ModelRepository
from simila_models.catalogue import BUNDLED_FOLDER, find_manifest
from simila_models.integrity import verify
from simila_models.scratch import publish, scratch_folder

_TOWER = re.compile(r"(.+)\.(?:image|text)(?:\..+)?")
_MANIFESTS, _MODELS = "manifests", "models"


def write_bundle(manifests: Sequence[Manifest], repository: ModelRepository, archive: Path) -> None:
    """Archive the manifests and the exported towers; weights, from which nothing is served, stay behind.

    Raises:
        NotExported, HashMismatch: a tower is not exported, not whole, or has changed since.
        ModelError: the archive cannot be written.

    """
    for manifest in manifests:
        verify(manifest, repository)
    try:
        with scratch_folder(archive.parent) as scratch:
            made = scratch / archive.name
            with tarfile.open(made, "w") as tar:
                for name, path in _members(manifests, repository):
                    tar.add(path, name)
            publish(made, archive)
    except OSError as error:
        raise ModelError(f"{archive} cannot be written: {error}") from error


def unpack_bundle(archive: Path, data_dir: Path) -> list[str]:
    """Put the encoders of an archive into a data folder, each whole and as it was exported, and name them.

    Raises:
        NotExported, HashMismatch, UnknownEncoder: the archive lacks a file, or one is damaged.
        ModelError: it is no archive, or the data folder cannot be written.

    """
    try:
        with scratch_folder(data_dir) as scratch:
            with tarfile.open(archive) as tar:
                tar.extractall(scratch, filter="data")
            unpacked = ModelRepository(scratch / _MODELS)
            towers, own = list(unpacked.root.iterdir()), list((scratch / _MANIFESTS).glob("*.toml"))
            names = sorted({match[1] for tower in towers if (match := _TOWER.fullmatch(tower.name))})
            for name in names:
                verify(find_manifest(name, [scratch / _MANIFESTS]), unpacked)
            for path in towers + own:
                publish(path, data_dir / path.relative_to(scratch))
    except (OSError, tarfile.TarError) as error:
        raise ModelError(f"{archive} cannot be unpacked to {data_dir}: {error}") from error
    return names


def _members(manifests: Sequence[Manifest], repository: ModelRepository) -> Iterator[tuple[str, Path]]:
    for manifest in manifests:
        own = manifest.folder / f"{manifest.name}.toml"
        if manifest.folder != BUNDLED_FOLDER:
            yield f"{_MANIFESTS}/{own.name}", own
        for modality in manifest.modalities:
            tower = repository.tower(manifest.name, modality).folder
            for folder in (tower, *sorted(tower.parent.glob(f"{tower.name}.*"))):
                yield f"{_MODELS}/{folder.name}", folder
