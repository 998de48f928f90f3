"""torch module to a program that `device = torch` runs: the reference that GPUs are compared with."""

from collections.abc import Mapping
from pathlib import Path

import onnx
import torch

from simila.domain.errors import ModelError
from simila.domain.manifest import Manifest
from simila.domain.model_repository import ModelRepository
from simila_models.export.encoder import tower_makers
from simila_models.export.tower import Tower
from simila_models.progress import Progress

_EXAMPLE_ROWS = 2
"""The exporter takes an axis of length 0 or 1 for a constant."""


def write_torch_programs(
    manifest: Manifest, sources: Mapping[str, Path], repository: ModelRepository, progress: Progress
) -> None:
    """Write the program of every tower beside its graph; those that are there are replaced.

    Raises:
        NotExported: a tower is not exported, or not from this manifest.
        InvalidManifest: the family does not exist, or misses a file or an architecture.
        ModelError: the repository cannot be written.

    """
    makers = tower_makers(manifest, sources)
    for done, modality in enumerate(manifest.modalities):
        progress.step(f"torch programs of {manifest.name}", done, len(manifest.modalities), unit="steps")
        path = repository.exported_tower(manifest, modality).torch_program
        try:
            path.parent.mkdir(exist_ok=True)
            _save(makers[modality](), path)
        except OSError as error:
            raise ModelError(f"{path} cannot be written: {error}") from error
    progress.step(
        f"torch programs of {manifest.name}", len(manifest.modalities), len(manifest.modalities), unit="steps"
    )


def _save(tower: Tower, path: Path) -> None:
    if isinstance(tower.graph, onnx.ModelProto):
        raise ModelError("an encoder of an ONNX file has no torch program; serve it by ONNX Runtime")
    example = tuple(torch.from_numpy(array[:_EXAMPLE_ROWS]) for array in tower.rows.values())
    axes = {axis: torch.export.Dim(name) for axis, name in enumerate(tower.dynamic_axes)}
    with torch.no_grad():
        program = torch.export.export(tower.graph.eval(), example, dynamic_shapes=(axes,) * len(example))
    unfinished = path.with_suffix(".new.pt2")
    torch.export.save(program, unfinished)
    unfinished.rename(path)
