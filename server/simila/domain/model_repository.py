"""Where exported encoders lie: a Triton model repository, one model a tower, with what Simila needs beside it.

models/
  simila-lite.image/
    config.pbtxt            Triton's own description
    1/model.onnx            beside it model.onnx.data, where the weights are more than two gigabytes
    export.json             what was exported: `ExportRecord`
    tuning.json             how it runs best on this machine, where that was measured
    precision.json          what a precision other than fp32 costs and gains
    golden/                 the parity certificate's inputs and reference vectors: `GoldenSet`
  simila-lite.text/
    …
    tokenizer.json
  simila-lite.text.int8-dynamic/
    …                       the same tower in another precision
"""

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from simila.domain.errors import NotExported
from simila.domain.manifest import Manifest, Modality
from simila.domain.precision import Precision


class ExportRecord(BaseModel):
    """What a tower was exported from and with."""

    model_config = ConfigDict(frozen=True)

    fingerprint: str
    precision: str
    onnx_sha256: str
    data_sha256: str | None = None
    """Of the weights that lie beside the graph, where they are too many for one file."""
    versions: dict[str, str]
    """Package name to version: the libraries that made the reference vectors and the graph."""
    parity_floor: float | None = None
    """Least cosine to the reference that a load may find; None leaves it to the manifest."""
    sizes_bytes: dict[str, int] = {}
    """Every other file of the tower, by its path in the tower's folder: what is cut short or gone is exported again."""


@dataclass(frozen=True)
class TowerFiles:
    """The files of one exported tower."""

    folder: Path

    @property
    def onnx(self) -> Path:
        return self.folder / "1" / "model.onnx"

    @property
    def onnx_data(self) -> Path:
        """Weights beside the graph; only graphs of more than two gigabytes have it."""
        return self.folder / "1" / "model.onnx.data"

    @property
    def config(self) -> Path:
        return self.folder / "config.pbtxt"

    @property
    def record(self) -> Path:
        return self.folder / "export.json"

    def read_record(self) -> ExportRecord:
        """Read what the tower was exported from and with.

        Raises:
            OSError, ValidationError: the tower is not exported, or the record is damaged.

        """
        return ExportRecord.model_validate_json(self.record.read_bytes())

    @property
    def quality(self) -> Path:
        """What a precision other than fp32 costs and gains, as it was found at export."""
        return self.folder / "precision.json"

    @property
    def torch_program(self) -> Path:
        return self.folder / "torch" / "model.pt2"

    @property
    def tuning(self) -> Path:
        return self.folder / "tuning.json"

    @property
    def golden(self) -> Path:
        return self.folder / "golden"

    @property
    def tokenizer(self) -> Path:
        return self.folder / "tokenizer.json"


@dataclass(frozen=True)
class ModelRepository:
    """The folder of all exported towers."""

    root: Path

    def tower(self, encoder: str, modality: Modality, precision: Precision = Precision.FP32) -> TowerFiles:
        return TowerFiles(self.root / tower_name(encoder, modality, precision))

    def is_current(self, manifest: Manifest) -> bool:
        """Whether every tower of this manifest is exported, from exactly what the manifest names."""
        return all(self.has_tower(manifest, modality) for modality in manifest.modalities)

    def has_tower(self, manifest: Manifest, modality: Modality) -> bool:
        """Whether this tower is exported, from exactly what the manifest names."""
        try:
            self.exported_tower(manifest, modality)
        except NotExported:
            return False
        return True

    def exported_tower(self, manifest: Manifest, modality: Modality) -> TowerFiles:
        """Return the files of a tower, in the precision it is served in, that is exported and current.

        Raises:
            NotExported: there is no export, it is of another fingerprint, or a file is gone or cut short.

        """
        files = self.tower(manifest.name, modality, manifest.precision(modality))
        remedy = f"run: {export_command(manifest, modality)}"
        try:
            record = files.read_record()
        except FileNotFoundError as error:
            raise NotExported(f"encoder {manifest.name} is not exported to {self.root}; {remedy}") from error
        except (OSError, ValidationError) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
            raise NotExported(f"encoder {manifest.name}: {files.record} cannot be read ({reason}); {remedy}") from error
        if record.fingerprint != manifest.reference.fingerprint:
            message = f"encoder {manifest.name} was exported from another manifest or other weights; {remedy}"
            raise NotExported(message)
        for path, size_bytes in record.sizes_bytes.items():
            file = files.folder / path
            if not file.is_file() or file.stat().st_size != size_bytes:
                raise NotExported(f"encoder {manifest.name}: {path} is gone or not what was exported; {remedy}")
        return files


def tower_name(encoder: str, modality: Modality, precision: Precision) -> str:
    """What a tower is called in the repository, by Triton too."""
    return f"{encoder}.{modality}" + ("" if precision is Precision.FP32 else f".{precision}")


def export_command(manifest: Manifest, modality: Modality, *, force: bool = False) -> str:
    """What to type to have a tower exported, in the precision it is served in."""
    options = ["--force"] if force else []
    if (precision := manifest.precision(modality)) is not Precision.FP32:
        options += ["--precision", precision]
        options += ["--tower", modality] if len(manifest.modalities) > 1 else []
    return " ".join(["simila models export", *options, manifest.name])
