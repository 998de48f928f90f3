"""From checkpoints to a Triton model repository of ONNX graphs. torch is imported when an export begins, not before."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simila.domain.errors import ModelError
from simila.domain.manifest import Manifest
from simila.domain.model_repository import ModelRepository
from simila_models.export.precision import Prepare
from simila_models.progress import Progress
from simila_models.sources import fetch_sources


def export_encoder(
    manifest: Manifest, repository: ModelRepository, cache_dir: Path, progress: Progress, *, offline: bool = False
) -> None:
    """Fetch what is missing, unless `offline`, and export every tower in fp32 that is not current.

    Raises:
        FetchFailed, HashMismatch: the checkpoint cannot be had.
        InvalidManifest: the manifest's family does not exist, or misses a file or an architecture.
        ParityFailed: a graph's vectors are not the reference library's.
        ModelError: what exporting needs is not installed, or the repository cannot be written.

    """
    manifest = manifest.reference
    if repository.is_current(manifest):
        return
    sources = fetch_sources(manifest, cache_dir, progress, offline=offline)
    with _export_extra(manifest):
        # Here, not above: only the export extra brings torch, and whoever lists or serves encoders can do without.
        from simila_models.export.encoder import export_towers  # noqa: PLC0415
    export_towers(manifest, sources, repository, progress)


def export_precisions(
    manifest: Manifest,
    repository: ModelRepository,
    prepare: Prepare,
    progress: Progress,
    *,
    calibration: Path | None = None,
    force: bool = False,
) -> list[str]:
    """Make the towers that `manifest` has in another precision than fp32; say what each costs and gains.

    Scales are calibrated on the inputs at `calibration`, see `given_inputs`, or on those that ship with Simila.

    Raises:
        NotExported: the tower is not exported in fp32.
        ParityFailed: a tower is below a floor, and not forced.
        InvalidInput: there are too few inputs to calibrate on.
        ModelError: a graph has nothing to quantise, what exporting needs is not installed, the disk refuses.

    """
    if repository.is_current(manifest):
        return []
    with _export_extra(manifest):
        from simila_models.export.precision.encoder import write_precisions  # noqa: PLC0415  as above
        from simila_models.export.precision.inputs import given_inputs  # noqa: PLC0415  as above
    inputs = given_inputs(calibration) if calibration else ()
    return [str(report) for report in write_precisions(manifest, repository, prepare, progress, inputs, force=force)]


def export_torch_programs(manifest: Manifest, repository: ModelRepository, cache_dir: Path, progress: Progress) -> None:
    """Write what `device = torch` runs beside every exported tower.

    Raises:
        FetchFailed, HashMismatch: the checkpoint cannot be had.
        NotExported: a tower is not exported, or not from this manifest.
        ModelError: what exporting needs is not installed, or the repository cannot be written.

    """
    sources = fetch_sources(manifest, cache_dir, progress)
    with _export_extra(manifest):
        from simila_models.export.torch_program import write_torch_programs  # noqa: PLC0415  as above
    write_torch_programs(manifest, sources, repository, progress)


@contextmanager
def _export_extra(manifest: Manifest) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        message = (
            f"exporting {manifest.name} needs {error.name}, which is not installed: pip install 'simila[cpu,export]'"
        )
        raise ModelError(message) from error
