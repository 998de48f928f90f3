"""Adding an encoder that is not bundled. What needs torch is imported when a checkpoint is read."""

from dataclasses import dataclass
from pathlib import Path

from simila.domain.errors import ModelError
from simila.domain.manifest import Manifest
from simila.domain.model_repository import ModelRepository
from simila_models.export import export_encoder, export_precisions
from simila_models.export.precision import Prepare
from simila_models.progress import Progress


@dataclass(frozen=True)
class Addition:
    """What a user wants of a checkpoint; what is empty is taken from the checkpoint.

    `pooling` and `layer` are as in a manifest; `manifest` is the path of one, for a checkpoint that describes nothing.
    """

    source: str
    name: str = ""
    licence: str = ""
    pooling: str = ""
    layer: str = ""
    manifest: str = ""
    offline: bool = False


def add_encoder(
    addition: Addition, manifests_dir: Path, repository: ModelRepository, cache_dir: Path, progress: Progress
) -> Manifest:
    """Describe a checkpoint, export it, and keep its manifest once its graphs agree with the reference.

    Raises:
        FetchFailed, HashMismatch: the checkpoint cannot be had.
        InvalidManifest: it is of no known kind, or a manifest cannot say what it does.
        ParityFailed: a graph's vectors are not the reference library's.
        ModelError: what exporting needs is not installed, or a folder cannot be written.

    """
    try:
        # Here, not above: only the export extra brings torch.
        from simila_models.export.user_manifest import manifest_of  # noqa: PLC0415
    except ModuleNotFoundError as error:
        message = f"adding {addition.source} needs {error.name}, which is not installed"
        raise ModelError(f"{message}: pip install 'simila[cpu,export]'") from error
    manifest = manifest_of(addition, cache_dir, progress)
    export_encoder(manifest, repository, cache_dir, progress, offline=addition.offline)
    write_manifest(manifest, manifests_dir)
    return manifest


def add_precisions(
    manifest: Manifest,
    manifests_dir: Path,
    repository: ModelRepository,
    prepare: Prepare,
    progress: Progress,
    *,
    calibration: Path | None,
    force: bool,
) -> list[str]:
    """Make an added encoder in the precisions that `manifest` has, and keep it as the encoder's own.

    Raises:
        ParityFailed, InvalidInput, ModelError: as `export_precisions`; the encoder stays what it was.

    """
    reports = export_precisions(manifest, repository, prepare, progress, calibration=calibration, force=force)
    write_manifest(manifest, manifests_dir)
    return reports


def write_manifest(manifest: Manifest, folder: Path) -> Path:
    """Write `NAME.toml`, leaving out what is as by default.

    Raises:
        ModelError: the folder cannot be written, or what writing needs is not installed.

    """
    path = folder / f"{manifest.name}.toml"
    try:
        import tomlkit  # noqa: PLC0415  the export extra brings it

        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(tomlkit.dumps(manifest.model_dump(mode="json", exclude_defaults=True)), encoding="utf-8")
    except (ModuleNotFoundError, OSError) as error:
        raise ModelError(f"the manifest of {manifest.name} cannot be written: {error}") from error
    return path
