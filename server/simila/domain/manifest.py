"""The manifest: one TOML file that says all there is to know about an encoder."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from simila.domain.errors import InvalidManifest
from simila.domain.precision import Precision

EncoderName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


# At their defaults these are as if they were not there: vectors of collections that are older than they stay usable.
_NEWER_FIELDS = {
    "image": ("resize", "crop_offset", "transparency", "channels", "bits"),
    "text": ("query_prefix", "passage_prefix"),
}


class Modality(StrEnum):
    TEXT = "text"
    IMAGE = "image"


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageTower(_Table):
    """How an image becomes integers `[channels, size_pixels, size_pixels]`, and what the graph does with them.

    `shorter_edge` scales the shorter edge to `resize_shorter_edge_pixels`, then cuts a square of `size_pixels` from the
    middle; `squash` scales both edges to `size_pixels`. `crop_offset` says how half a pixel is rounded (transformers:
    floor; torchvision: nearest_even), `transparency` whether an image is laid on white. `mean` and `std`, one for each
    channel, are in units of a channel scaled to 0..1; both are folded into the exported graph. Three channels of 8 bits
    are RGB, read from image files; anything else comes as a NumPy array or a TIFF.
    """

    size_pixels: int = Field(gt=0)
    resize: Literal["shorter_edge", "squash"] = "shorter_edge"
    resize_shorter_edge_pixels: int | None = Field(default=None, gt=0)
    crop_offset: Literal["floor", "nearest_even"] = "floor"
    interpolation: Literal["bicubic", "bilinear", "lanczos"]
    transparency: Literal["white", "ignored"] = "white"
    channels: int = Field(default=3, gt=0, le=256)
    bits: Literal[8, 16] = 8
    mean: tuple[float, ...]
    std: tuple[Annotated[float, Field(gt=0)], ...]
    pooling: Literal["average", "cls", "model"]
    input_name: str = "pixels"
    output_name: str = "embedding"

    @property
    def is_rgb(self) -> bool:
        """Whether image files of the common formats are read, and not arrays of bands."""
        return self.channels == 3 and self.bits == 8

    @property
    def row_shape(self) -> tuple[int, int, int]:
        return self.channels, self.size_pixels, self.size_pixels

    @property
    def row_dtype(self) -> Literal["uint8", "uint16"]:
        return "uint8" if self.bits == 8 else "uint16"

    @model_validator(mode="after")
    def _fields_fit(self) -> Self:
        if self.resize == "squash" and self.resize_shorter_edge_pixels is not None:
            raise ValueError("resize = 'squash' has no use for resize_shorter_edge_pixels")
        if self.resize == "shorter_edge" and (self.resize_shorter_edge_pixels or 0) < self.size_pixels:
            raise ValueError("resize_shorter_edge_pixels is less than size_pixels, so nothing could fill the square")
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError(f"mean and std need one value for each of {self.channels} channels")
        return self


class TextTower(_Table):
    """How a text becomes token ids. `context_length_tokens` counts the special tokens too.

    A query or a passage gets its prefix where the caller says which it is; `matryoshka_dimensions` are the shorter
    lengths at which a vector was trained to be cut.
    """

    context_length_tokens: int = Field(gt=2)
    pooling: Literal["mean", "cls", "last", "model"]
    query_prefix: str = ""
    passage_prefix: str = ""
    matryoshka_dimensions: tuple[Annotated[int, Field(gt=0)], ...] = ()
    ids_name: str = "input_ids"
    mask_name: str = "attention_mask"
    output_name: str = "embedding"


class ZeroShot(_Table):
    """From cosines to probabilities: `activation(scale * cosine + bias)`, labels put into `templates` at `{}`."""

    scale: float = Field(gt=0)
    bias: float = 0.0
    activation: Literal["softmax", "sigmoid"] = "softmax"
    templates: tuple[str, ...] = Field(min_length=1)


class TritonModel(_Table):
    """How Triton runs each tower: instances on each of its devices of `kind`, the largest batch, the longest queue."""

    instances: int = Field(default=1, gt=0)
    kind: Literal["auto", "cpu", "gpu"] = "auto"
    max_batch_rows: int = Field(default=64, gt=0)
    max_queued_requests: int = Field(default=256, gt=0)


class SourceFile(_Table):
    """One file of the checkpoint: what the exporter uses it as, where it comes from, and what it must hash to.

    `source` is `pypi:NAME==VERSION` (a wheel, of which `path` names a member), `hf:ORG/NAME@COMMIT` (a repository of
    the Hugging Face hub) or `file:FOLDER` (relative to the manifest; `path` is relative to that folder).
    """

    role: str
    source: Annotated[str, StringConstraints(pattern=r"^(pypi|hf|file):.+$")]
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
    triton: TritonModel = TritonModel()
    precisions: dict[Modality, Precision] = {}
    """What each tower is served in; one that is not named is served in fp32."""
    files: tuple[SourceFile, ...] = Field(min_length=1)
    folder: Path = Field(default=Path(), exclude=True, description="where the manifest was read; `file:` starts here")

    @model_validator(mode="after")
    def _has_a_tower(self) -> Self:
        if not self.modalities:
            raise ValueError("an encoder needs an [image] or a [text] tower")
        if self.zero_shot and not self.text:
            raise ValueError("[zero_shot] needs a [text] tower to embed its prompts")
        if missing := sorted(set(self.precisions) - set(self.modalities)):
            raise ValueError(f"[precisions] names the {missing[0]} tower, and there is none")
        return self

    @property
    def modalities(self) -> tuple[Modality, ...]:
        towers = {Modality.IMAGE: self.image, Modality.TEXT: self.text}
        return tuple(modality for modality, tower in towers.items() if tower)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all that changes a vector: towers, weights and recipe, not prompts or descriptions.

        A precision counts where its vectors may not lie beside the reference's, see `Precision.keeps_space`.
        """
        parts = self.model_dump(mode="json", include={"family", "dimension", "architecture", "image", "text"})
        for name, tower in (("image", self.image), ("text", self.text)):
            for field in _NEWER_FIELDS[name]:
                if tower and getattr(tower, field) == type(tower).model_fields[field].default:
                    del parts[name][field]
        if self.text:
            del parts["text"]["matryoshka_dimensions"]
        if apart := {tower: precision for tower, precision in self.precisions.items() if not precision.keeps_space}:
            parts["precisions"] = apart
        parts["weights"] = sorted((file.role, file.sha256) for file in self.files)
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        copy = super().model_copy(update=update, deep=deep)
        copy.__dict__.pop("fingerprint", None)  # it was the original's
        return copy

    @property
    def reference(self) -> Self:
        """The same encoder in fp32, of which the other precisions are made."""
        return self.model_copy(update={"precisions": {}})

    def served_in(self, wishes: Mapping[str, Precision]) -> Self:
        """The same encoder in the precisions that `wishes` has for its name, or for one tower of it as `NAME.TOWER`."""
        wanted = {
            modality: wishes.get(f"{self.name}.{modality}") or wishes.get(self.name) or self.precision(modality)
            for modality in self.modalities
        }
        return self.model_copy(update={"precisions": wanted})

    def precision(self, modality: Modality) -> Precision:
        return self.precisions.get(modality, Precision.FP32)

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
