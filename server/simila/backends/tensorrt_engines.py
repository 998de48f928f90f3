"""TensorRT engines on disk: which there should be, for what they are good, and whether they are there.

An engine serves the shapes of one profile, on one kind of GPU, with one driver and one TensorRT. Building one takes
minutes, so `simila models build` does it, and a server only looks for what is built.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from simila.domain.manifest import Manifest, Modality
from simila.domain.model_repository import TowerFiles

RECORD = "built.json"
KEY_DIGITS = 16
MOST_IMAGES, USUAL_IMAGES = 64, 16
# Texts of like length share a batch: an engine for each of a few lengths wastes little on padding.
LONGEST_TOKENS = (32, 128)
MOST_TOKENS, USUAL_TOKENS = 16_384, 2_048  # of a batch, padded

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]


@dataclass(frozen=True)
class Profile:
    """The shapes of every input of the graph that an engine takes: smallest, usual and largest."""

    smallest: Shapes
    usual: Shapes
    largest: Shapes

    @property
    def most_rows(self) -> int:
        return min(shape[0] for shape in self.largest.values())

    def takes(self, shapes: Shapes) -> bool:
        """Whether each axis but that of the rows lies within."""
        return all(
            low <= size <= high
            for name, shape in shapes.items()
            for low, size, high in zip(self.smallest[name][1:], shape[1:], self.largest[name][1:], strict=True)
        )


@dataclass(frozen=True)
class EngineKey:
    """All that an engine depends on: with another value of any field it may not be used."""

    gpu: str
    compute_capability: str
    driver: str
    tensorrt: str
    onnxruntime: str
    onnx_sha256: str
    profiles: str

    @property
    def digest(self) -> str:
        return _digest(asdict(self))

    @property
    def machine_digest(self) -> str:
        """Of what timings of kernels depend on, which all models share."""
        return _digest({name: value for name, value in asdict(self).items() if name not in ("onnx_sha256", "profiles")})


class EngineFolder:
    """Where a tower's engines for one key lie. The record is written last, so what has one is whole."""

    def __init__(self, files: TowerFiles, key: EngineKey) -> None:
        self._key = key
        self.path = files.folder / "tensorrt" / key.digest
        self.timings = files.folder.parent.parent / "tensorrt-timings" / key.machine_digest

    @property
    def is_built(self) -> bool:
        """Whether every engine that the record names is there in its whole size."""
        try:
            sizes = json.loads((self.path / RECORD).read_bytes())["sizes_bytes"]
            return all((self.path / name).stat().st_size == size for name, size in sizes.items())
        except (OSError, ValueError, LookupError):
            return False

    def engines(self) -> list[Path]:
        """The files that TensorRT has left here."""
        return sorted(self.path.rglob("*.engine"))

    def keep_record(self) -> None:
        """Say that what lies here now is whole."""
        sizes = {str(path.relative_to(self.path)): path.stat().st_size for path in self.engines()}
        content = json.dumps({"key": asdict(self._key), "sizes_bytes": sizes}, indent=2)
        (self.path / RECORD).write_text(content, encoding="utf-8")


def profiles_of(manifest: Manifest, modality: Modality) -> list[Profile]:
    """Of images, one for all sizes of a batch; of texts one a range of lengths, ascending."""
    if modality is Modality.IMAGE and manifest.image:
        name, row = manifest.image.input_name, manifest.image.row_shape
        return [Profile({name: (1, *row)}, {name: (USUAL_IMAGES, *row)}, {name: (MOST_IMAGES, *row)})]
    assert manifest.text
    names = (manifest.text.ids_name, manifest.text.mask_name)
    context = manifest.text.context_length_tokens
    lengths = [*(length for length in LONGEST_TOKENS if length < context), context]
    shortest = [1, *(length + 1 for length in lengths[:-1])]
    return [
        Profile(
            dict.fromkeys(names, (1, low)),
            dict.fromkeys(names, (max(1, USUAL_TOKENS // high), high)),
            dict.fromkeys(names, (max(1, MOST_TOKENS // high), high)),
        )
        for low, high in zip(shortest, lengths, strict=True)
    ]


def shape_options(profile: Profile) -> dict[str, str]:
    """The profile as the execution provider's options."""
    return {
        "trt_profile_min_shapes": _written(profile.smallest),
        "trt_profile_opt_shapes": _written(profile.usual),
        "trt_profile_max_shapes": _written(profile.largest),
    }


def written_profiles(profiles: Sequence[Profile]) -> str:
    """All of them in one line, for a key."""
    return " ".join(",".join(shape_options(profile).values()) for profile in profiles)


def tensorrt_options(
    device_number: int, profile: Profile, folder: Path, timings: Path, *, half: bool
) -> dict[str, str]:
    """The provider's options for one engine: found in `folder`, or built into it by whoever starts the session."""
    return {
        "device_id": str(device_number),
        "trt_fp16_enable": "1" if half else "0",
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(timings),
        **shape_options(profile),
    }


def _written(shapes: Shapes) -> str:
    return ",".join(f"{name}:{'x'.join(map(str, shape))}" for name, shape in shapes.items())


def _digest(values: Mapping[str, str]) -> str:
    return sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:KEY_DIGITS]
