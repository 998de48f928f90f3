"""The manifest: one TOML file that says all there is to know about an encoder."""

import hashlib
import json
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from simila.domain.errors import InvalidManifest

EncoderName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Rgb = tuple[float, float, float]


class Modality(StrEnum):
    TEXT = "text"
    IMAGE = "image"


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageTower(_Table):
    """How an image becomes `uint8 [3, size_pixels, size_pixels]`, and what the graph does with it.

    The shorter edge is scaled to `resize_shorter_edge_pixels`, then a square of `size_pixels` is cut from the middle.
    `mean` and `std` are in units of a channel scaled to 0..1; both are folded into the exported graph.
    """

    size_pixels: int = Field(gt=0)
    resize_shorter_edge_pixels: int = Field(gt=0)
    interpolation: Literal["bicubic", "bilinear"]
    mean: Rgb
    std: Rgb
    pooling: Literal["average"]
    input_name: str = "pixels"
    output_name: str = "embedding"

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        if self.resize_shorter_edge_pixels < self.size_pixels:
            raise ValueError("resize_shorter_edge_pixels is less than size_pixels, so nothing could fill the square")
        return self


class TextTower(_Table):
    """How a text becomes token ids. `context_length_tokens` counts the special tokens too."""

    context_length_tokens: int = Field(gt=2)
    pooling: Literal["mean"]
    ids_name: str = "input_ids"
    mask_name: str = "attention_mask"
    output_name: str = "embedding"


class ZeroShot(_Table):
    """From cosines to probabilities: `activation(scale * cosine + bias)`, labels put into `templates` at `{}`."""

    scale: float = Field(gt=0)
    bias: float = 0.0
    activation: Literal["softmax", "sigmoid"] = "softmax"
    templates: tuple[str, ...] = Field(min_length=1)


class SourceFile(_Table):
    """One file of the checkpoint: what the exporter uses it as, where it comes from, and what it must hash to.

    `source` is `pypi:NAME==VERSION` (a wheel, of which `path` names a member) or `file:FOLDER` (relative to the
    manifest; `path` is relative to that folder).
    """

    role: str
    source: Annotated[str, StringConstraints(pattern=r"^(pypi|file):.+$")]
    path: str
    sha256: Sha256


class Manifest(_Table):
    """An encoder: its towers, where its weights come from and how its vectors are to be read."""

    name: EncoderName
    description: str
    family: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+$")]
    licence: str
    dimension: int = Field(gt=0)
    parity_floor: float = Field(default=0.9999, gt=0, le=1)
    architecture: dict[str, str | float] = {}
    image: ImageTower | None = None
    text: TextTower | None = None
    zero_shot: ZeroShot | None = None
    files: tuple[SourceFile, ...] = Field(min_length=1)
    folder: Path = Field(default=Path(), exclude=True, description="where the manifest was read; `file:` starts here")

    @model_validator(mode="after")
    def _has_a_tower(self) -> Self:
        if not self.modalities:
            raise ValueError("an encoder needs an [image] or a [text] tower")
        if self.zero_shot and not self.text:
            raise ValueError("[zero_shot] needs a [text] tower to embed its prompts")
        return self

    @property
    def modalities(self) -> tuple[Modality, ...]:
        towers = {Modality.IMAGE: self.image, Modality.TEXT: self.text}
        return tuple(modality for modality, tower in towers.items() if tower)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that changes a vector: towers, weights and recipe, not prompts or descriptions."""
        parts = self.model_dump(mode="json", include={"family", "dimension", "architecture", "image", "text"})
        parts["weights"] = sorted((file.role, file.sha256) for file in self.files)
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def file(self, role: str) -> SourceFile:
        """Return the file with this role.

        Raises:
            InvalidManifest: no file has it.

        """
        for file in self.files:
            if file.role == role:
                return file
        raise InvalidManifest(f"manifest {self.name}: family {self.family} needs a file with the role '{role}'")


def read_manifest(path: Path) -> Manifest:
    """Read one manifest.

    Raises:
        InvalidManifest: the file is no TOML, or breaks the schema.

    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return Manifest.model_validate({**table, "folder": path.parent})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise InvalidManifest(f"manifest {path.name}: {error}") from error
