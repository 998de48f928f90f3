"""Export an encoder tower by tower; each appears in the repository whole and checked, or not at all."""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from pkgutil import iter_modules

from simila.domain.errors import InvalidManifest, ModelError
from simila.domain.manifest import Manifest, Modality
from simila.domain.model_repository import ModelRepository
from simila_models.export import families
from simila_models.export.tower import Tower, write_tower
from simila_models.progress import Progress
from simila_models.scratch import publish, scratch_folder

TowerMaker = Callable[[], Tower]
"""Makes a tower when it is its turn, because making it includes computing the golden vectors."""

Family = Callable[[Manifest, Mapping[str, Path]], Mapping[Modality, TowerMaker]]
"""A recipe: from a manifest and its files by role to the towers to export."""


def export_towers(
    manifest: Manifest, sources: Mapping[str, Path], repository: ModelRepository, progress: Progress
) -> None:
    """Export the towers that are not current.

    Raises:
        InvalidManifest: the family does not exist, or misses a file or an architecture.
        ParityFailed: a graph's vectors are not the reference library's.
        ModelError: the repository cannot be written.

    """
    description, steps = _work(manifest)
    progress.step(description, 0, steps, unit="steps")
    write_towers(manifest, tower_makers(manifest, sources), repository, progress)


def write_towers(
    manifest: Manifest, towers: Mapping[Modality, TowerMaker], repository: ModelRepository, progress: Progress
) -> None:
    """Write the towers that are not current, whichever recipe they come from.

    Raises:
        ParityFailed: a graph's vectors are not the reference library's.
        ModelError: the repository cannot be written.

    """
    description, steps = _work(manifest)
    try:
        with scratch_folder(repository.root) as scratch:
            for done, modality in enumerate(manifest.modalities, start=1):
                progress.step(description, done, steps, unit="steps")
                if not repository.has_tower(manifest, modality):
                    made = scratch / modality
                    write_tower(manifest, modality, towers[modality](), made)
                    publish(made, repository.tower(manifest.name, modality).folder)
    except OSError as error:
        raise ModelError(f"{manifest.name} cannot be exported to {repository.root}: {error}") from error
    progress.step(description, steps, steps, unit="steps")


def tower_makers(manifest: Manifest, sources: Mapping[str, Path]) -> Mapping[Modality, TowerMaker]:
    """The towers of a manifest as its family makes them.

    Raises:
        InvalidManifest: the family does not exist, or misses a file or an architecture.

    """
    return _family(manifest)(manifest, sources)


def _work(manifest: Manifest) -> tuple[str, int]:
    """What a progress bar is told: a step for reading the checkpoint, and one a tower."""
    return f"export {manifest.name}", 1 + len(manifest.modalities)


def _family(manifest: Manifest) -> Family:
    known = sorted(module.name for module in iter_modules(families.__path__))
    if manifest.family not in known:
        message = f"manifest {manifest.name}: no family is called '{manifest.family}'; known: {', '.join(known)}"
        raise InvalidManifest(message)
    try:
        recipe: Family = importlib.import_module(f"{families.__name__}.{manifest.family}").towers
    except ModuleNotFoundError as error:
        message = f"family {manifest.family} of manifest {manifest.name} needs {error.name}, which is not installed"
        raise ModelError(f"{message}: pip install 'simila[cpu,export,{manifest.family}]'") from error
    return recipe
