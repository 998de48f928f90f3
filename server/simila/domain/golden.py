"""Golden sets: ugly inputs with the reference library's vectors, recorded at export, checked at load.

A golden folder holds `inputs.json`, a list of texts or of image file names in that folder, and `vectors.npy`,
`float32 [n, d], unit length`, row by row.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simila.domain.manifest import Modality
from simila.domain.vectors import Float32


@dataclass(frozen=True)
class GoldenSet:
    """Inputs with their reference vectors. `names` tell images apart; a text is its own name."""

    names: tuple[str, ...]
    inputs: tuple[str | bytes, ...]
    vectors: Float32  # [n, d], unit length


@dataclass(frozen=True)
class Certificate:
    """What a parity check found: the cosine of each golden input's vector to its reference."""

    floor: float
    cosines: Mapping[str, float]

    @property
    def lowest_cosine(self) -> float:
        return min(self.cosines.values())

    @property
    def holds(self) -> bool:
        return self.lowest_cosine >= self.floor


def certify(golden: GoldenSet, vectors: Float32, floor: float) -> Certificate:
    """Compare served vectors `float32 [n, d], unit length` with the reference."""
    cosines = np.einsum("nd,nd->n", golden.vectors.astype(np.float64), vectors.astype(np.float64))
    finite = np.where(np.isfinite(cosines), cosines, -1.0)
    return Certificate(floor, dict(zip(golden.names, finite.tolist(), strict=True)))


def write_golden_texts(folder: Path, texts: Sequence[str], vectors: Float32) -> None:
    """Write texts and their reference vectors `float32 [n, d], unit length` into a new folder."""
    folder.mkdir(parents=True)
    (folder / "inputs.json").write_text(json.dumps(list(texts)), encoding="utf-8")
    np.save(folder / "vectors.npy", vectors.astype(np.float32))


def write_golden_images(folder: Path, images: Mapping[str, bytes], vectors: Float32) -> None:
    """Write image files by name, and their reference vectors `float32 [n, d], unit length`, into a new folder."""
    folder.mkdir(parents=True)
    for name, data in images.items():
        (folder / name).write_bytes(data)
    (folder / "inputs.json").write_text(json.dumps(list(images)), encoding="utf-8")
    np.save(folder / "vectors.npy", vectors.astype(np.float32))


def read_golden_set(folder: Path, modality: Modality) -> GoldenSet:
    """Read what `write_golden_texts` or `write_golden_images` wrote."""
    names: list[str] = json.loads((folder / "inputs.json").read_text(encoding="utf-8"))
    inputs = names if modality is Modality.TEXT else [(folder / name).read_bytes() for name in names]
    return GoldenSet(tuple(names), tuple(inputs), np.load(folder / "vectors.npy", allow_pickle=False))
