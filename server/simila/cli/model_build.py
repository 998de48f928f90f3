"""`simila models build`: what a GPU needs beside the exported graphs."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal

import typer

from simila.cli import tables
from simila.cli.configuration import DataDirOption, read_settings
from simila.cli.models import NamesArgument
from simila.cli.progress_bars import ProgressBars
from simila.domain.manifest import Manifest
from simila.domain.model_repository import ModelRepository
from simila_models.catalogue import find_manifest
from simila_models.export import export_torch_programs
from simila_models.progress import Progress


def build(
    names: NamesArgument = None,
    device: Annotated[Literal["tensorrt", "torch"], typer.Option(help="What to build for.")] = "tensorrt",
    data_dir: DataDirOption = None,
) -> None:
    """Build TensorRT's engines for this machine's GPUs, or torch's programs. A server never does: it takes minutes.

    A server that runs serves by CUDA meanwhile; `simila models load ENCODER` has it take what is built.
    """
    settings = read_settings(data_dir=data_dir)
    repository = ModelRepository(settings.models_dir)
    found = (find_manifest(name, [settings.manifests_dir]) for name in names or settings.encoders)
    manifests = [manifest.served_in(settings.precisions) for manifest in found]
    gpus = _gpus() if device == "tensorrt" else ()
    with ProgressBars() as progress:
        for manifest in manifests:
            if device == "torch":
                export_torch_programs(manifest, repository, settings.data_dir / "sources", progress)
            for number, label in enumerate(gpus):
                _build_engines(manifest, repository, number, label, progress)
    built = ", ".join(manifest.name for manifest in manifests)
    tables.show(f"built for {device}: {built}; a server that runs takes it by: simila models load ENCODER")


def _gpus() -> Sequence[str]:
    # Here, not above: ONNX Runtime takes long to import, and the other commands can do without.
    from simila.backends.tensorrt import TensorRtRuntime  # noqa: PLC0415

    return TensorRtRuntime().devices()


def _build_engines(
    manifest: Manifest, repository: ModelRepository, device_number: int, label: str, progress: Progress
) -> None:
    from simila.backends import TowerGraph  # noqa: PLC0415  as above
    from simila.backends.tensorrt import build_engines  # noqa: PLC0415  as above

    for modality in manifest.modalities:
        files = repository.exported_tower(manifest, modality)
        on_step = partial(progress.step, f"build {files.folder.name} for {label}", unit="steps")
        build_engines(TowerGraph(manifest, modality, files, files.onnx), device_number, on_step)
