"""One tower: from a torch module and its reference to the files of `TowerFiles`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from torch import nn

from simila.domain.errors import ParityFailed
from simila.domain.golden import GoldenSet, certify, write_golden_images, write_golden_texts
from simila.domain.manifest import Manifest, Modality
from simila.domain.model_repository import ExportRecord, TowerFiles
from simila_models.export.graph import export_graph
from simila_models.export.triton_config import write_triton_config
from simila_models.integrity import sha256_of

_RECORDED_PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "efficientnet-lite-pytorch",
    "pillow",
    "onnx",
    "onnxscript",
)


@dataclass(frozen=True)
class Tower:
    """What is exported, and what it must agree with."""

    graph: nn.Module | onnx.ModelProto
    """From the rows to `float32 [batch, d], unit length`."""
    dynamic_axes: tuple[str, ...]
    """Names of the leading axes of every input that may have any length."""
    rows: Mapping[str, NDArray[Any]]
    """The golden inputs as the reference library prepares them, by the name of the graph's input."""
    golden: GoldenSet
    output_name: str
    tokenizer_json: str | None = None


def write_tower(manifest: Manifest, modality: Modality, tower: Tower, folder: Path) -> None:
    """Write all files of a tower into a new folder and check the graph against the reference.

    Raises:
        ParityFailed: a golden input's vector is further from the reference than the manifest's floor.

    """
    files = TowerFiles(folder)
    files.onnx.parent.mkdir(parents=True)
    if isinstance(tower.graph, onnx.ModelProto):
        onnx.save(tower.graph, files.onnx)
    else:
        export_graph(tower.graph, tower.rows, tower.dynamic_axes, tower.output_name, files.onnx)
    _check_parity(manifest, modality, tower, files.onnx)
    _write_golden(modality, tower.golden, files.golden)
    if tower.tokenizer_json:
        files.tokenizer.write_text(tower.tokenizer_json, encoding="utf-8")
    write_triton_config(manifest, modality, files.onnx, files.config)
    record = ExportRecord(
        fingerprint=manifest.fingerprint,
        precision="fp32",
        onnx_sha256=sha256_of(files.onnx),
        data_sha256=sha256_of(files.onnx_data) if files.onnx_data.exists() else None,
        versions={package: version(package) for package in _RECORDED_PACKAGES},
        sizes_bytes={
            str(path.relative_to(files.folder)): path.stat().st_size
            for path in sorted(files.folder.rglob("*"))
            if path.is_file()
        },
    )
    files.record.write_text(json.dumps(record.model_dump(), indent=2), encoding="utf-8")


def _check_parity(manifest: Manifest, modality: Modality, tower: Tower, onnx_path: Path) -> None:
    session = ort.InferenceSession(onnx_path, providers=["CPUExecutionProvider"])
    vectors = np.asarray(session.run([tower.output_name], dict(tower.rows))[0], dtype=np.float32)
    certificate = certify(tower.golden, vectors, manifest.parity_floor)
    if not certificate.holds:
        worst = min(certificate.cosines, key=lambda name: certificate.cosines[name])
        message = (
            f"{manifest.name}, {modality} tower: the graph's vector of '{worst[:60]}' has cosine "
            f"{certificate.lowest_cosine:.6f} to the reference's; the manifest's floor is {manifest.parity_floor}"
        )
        raise ParityFailed(message)


def _write_golden(modality: Modality, golden: GoldenSet, folder: Path) -> None:
    if modality is Modality.TEXT:
        write_golden_texts(folder, golden.names, golden.vectors)
    else:
        images = {name: data for name, data in zip(golden.names, golden.inputs, strict=True) if isinstance(data, bytes)}
        write_golden_images(folder, images, golden.vectors)
