"""From checkpoints to a Triton model repository of ONNX graphs. torch is imported when an export begins, not before."""

from pathlib import Path

from simila.domain.errors import ModelError
from simila.domain.manifest import Manifest
from simila.domain.model_repository import ModelRepository
from simila_models.progress import Progress
from simila_models.sources import fetch_sources


def export_encoder(
    manifest: Manifest, repository: ModelRepository, cache_dir: Path, progress: Progress, *, offline: bool = False
) -> None:
    """Fetch what is missing, unless `offline`, and export every tower that is not current.

    Raises:
        FetchFailed, HashMismatch: the checkpoint cannot be had.
        InvalidManifest: the manifest's family does not exist, or misses a file or an architecture.
        ParityFailed: a graph's vectors are not the reference library's.
        ModelError: what exporting needs is not installed, or the repository cannot be written.

    """
    if repository.is_current(manifest):
        return
    sources = fetch_sources(manifest, cache_dir, progress, offline=offline)
    try:
        # Here, not above: only the export extra brings torch, and whoever lists or serves encoders can do without.
        from simila_models.export.encoder import export_towers  # noqa: PLC0415
    except ModuleNotFoundError as error:
        message = (
            f"exporting {manifest.name} needs {error.name}, which is not installed: pip install 'simila[cpu,export]'"
        )
        raise ModelError(message) from error
    export_towers(manifest, sources, repository, progress)
