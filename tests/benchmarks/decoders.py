"""Compare ways from an encoded image to a row: how fast on one core, and how near to the reference's.

    python -m pip install simplejpeg opencv-python-headless kornia-rs
    python tests/benchmarks/decoders.py [FOLDER] [--data-dir FOLDER] [--json]

FOLDER has photographs, `*.jpg` at any depth. Ugly inputs are the golden images of the exported encoders. What a decoder
does not handle (other formats, colours, turned images) is Simila's to decode, as it would be in a server.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import cv2
import kornia_rs
import numpy as np
import simplejpeg
import typer
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps
from skimage import data

from simila.backends.onnx_runtime import OnnxRuntimeBackend
from simila.cli import tables
from simila.cli.configuration import DataDirOption, read_settings
from simila.domain.golden import read_golden_set
from simila.domain.manifest import ImageTower, Manifest, Modality
from simila.domain.model_repository import ModelRepository
from simila.domain.vectors import Float32
from simila.preprocessing.images import ImageRow, _resize_and_crop, image_row
from simila_models.catalogue import bundled_manifests
from simila_models.export.reference_preprocessing import manifest_processor, uint8_pixels

ENCODERS = ("efficientnet-lite0", "simila-lite")  # of one preprocessing
DEFAULT_FOLDER = Path(__file__).parents[3] / "shared" / "data" / "clothing"
MOST_PHOTOGRAPHS = 130  # of the folder, evenly taken
ROUNDS, IMAGES_A_ROUND = 15, 24
MAX_PIXELS = 50_000_000
BATCH_ITEMS = 8

Decoder = Callable[[bytes], NDArray[np.uint8]]
"""A JPEG to `uint8 [height, width, 3]`."""

Scaler = Callable[[NDArray[np.uint8], tuple[int, int]], NDArray[np.uint8]]
"""Pixels to those of another width and height."""

RowMaker = Callable[[bytes, ImageTower], ImageRow]


@dataclass(frozen=True)
class Figures:
    """What was measured of one way to make rows; differences in grey levels, over photographs and ugly inputs."""

    name: str
    vga_per_second: float
    photographs_per_second: float
    largest_difference: int
    mean_difference: float
    lowest_cosines: Mapping[str, float]


@dataclass(frozen=True)
class Inputs:
    vga: Sequence[bytes]
    photographs: Sequence[bytes]
    ugly: Sequence[bytes]

    @property
    def judged(self) -> list[bytes]:
        return [*self.vga, *self.photographs, *self.ugly]


def simila(content: bytes, tower: ImageTower) -> ImageRow:
    return image_row(content, tower, max_pixels=MAX_PIXELS)


def reference(content: bytes, tower: ImageTower) -> ImageRow:
    return uint8_pixels([content], manifest_processor(tower))[0]


def scaled_whole(content: bytes, tower: ImageTower, *, draft: float = 0) -> ImageRow:
    """Pillow alone: the whole image is scaled, then cut. With `draft`, libjpeg leaves that many pixels a scaled one."""
    if not _is_plain_jpeg(content):
        return simila(content, tower)
    with Image.open(BytesIO(content)) as image:
        if draft:
            image.draft("RGB", tuple(int(draft * edge) for edge in _scaled_size(image.size, tower)))
        upright = ImageOps.exif_transpose(image)
        scaled = upright.resize(_scaled_size(upright.size, tower), Image.Resampling.BICUBIC)
        return _middle(np.asarray(scaled), tower)


def made_of(decode: Decoder, scale: Scaler) -> RowMaker:
    def make(content: bytes, tower: ImageTower) -> ImageRow:
        if not _is_plain_jpeg(content):
            return simila(content, tower)
        pixels = decode(content)
        return _middle(scale(pixels, _scaled_size((pixels.shape[1], pixels.shape[0]), tower)), tower)

    return make


def simplejpeg_and_kept(content: bytes, tower: ImageTower) -> ImageRow:
    """Simila's scaling behind another decoder."""
    if not _is_plain_jpeg(content):
        return simila(content, tower)
    return np.ascontiguousarray(_resize_and_crop(Image.fromarray(by_simplejpeg(content)), tower).transpose(2, 0, 1))


def by_opencv(content: bytes) -> NDArray[np.uint8]:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)


def by_simplejpeg(content: bytes, **options: Any) -> NDArray[np.uint8]:
    return simplejpeg.decode_jpeg(content, "RGB", **options)


def by_kornia(content: bytes) -> NDArray[np.uint8]:
    return kornia_rs.io.decode_image_jpegturbo(content, "rgb")


def pillow_bicubic(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def kornia_bicubic(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    return kornia_rs.imgproc.resize(pixels, size[::-1], "bicubic")


def opencv_area(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def opencv_cubic(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    return cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC)


WAYS: Mapping[str, RowMaker] = {
    "transformers' CLIPImageProcessorPil": reference,
    "Pillow, whole": scaled_whole,
    "Pillow, only what is kept (Simila)": simila,
    "Pillow draft 1x": lambda content, tower: scaled_whole(content, tower, draft=1),
    "Pillow draft 1.5x": lambda content, tower: scaled_whole(content, tower, draft=1.5),
    "Pillow draft 2x": lambda content, tower: scaled_whole(content, tower, draft=2),
    "Pillow draft 3x": lambda content, tower: scaled_whole(content, tower, draft=3),
    "simplejpeg + Pillow": made_of(by_simplejpeg, pillow_bicubic),
    "simplejpeg + Pillow, only what is kept": simplejpeg_and_kept,
    "simplejpeg fast DCT + Pillow": made_of(
        lambda content: by_simplejpeg(content, fastdct=True, fastupsample=True), pillow_bicubic
    ),
    "opencv + INTER_AREA": made_of(by_opencv, opencv_area),
    "opencv + INTER_CUBIC": made_of(by_opencv, opencv_cubic),
    "kornia-rs + its bicubic": made_of(by_kornia, kornia_bicubic),
    "simplejpeg + kornia-rs": made_of(by_simplejpeg, kornia_bicubic),
}


def main(
    folder: Annotated[Path, typer.Argument(help="Photographs, *.jpg.")] = DEFAULT_FOLDER,
    data_dir: DataDirOption = None,
    as_json: tables.JsonOption = False,
) -> None:
    """Measure every way on the same images, in turns, on one core."""
    if hasattr(os, "sched_setaffinity"):  # Linux; counts the time of all threads as well
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    repository = ModelRepository(read_settings(data_dir=data_dir).models_dir)
    manifests = [bundled_manifests()[name] for name in ENCODERS]
    figures = measure(read_inputs(folder, manifests, repository), manifests, repository)
    if as_json:
        tables.show_json(figures)
    else:
        show(figures)


def read_inputs(folder: Path, manifests: Sequence[Manifest], repository: ModelRepository) -> Inputs:
    files = sorted(folder.rglob("*.jpg"))
    if not files:
        tables.show(f"no photographs in {folder}: only those of scikit-image are compared")
    pictures = [
        Image.fromarray(picture) for picture in (data.astronaut(), data.coffee(), data.chelsea(), data.rocket())
    ]
    taken = files[:: max(1, len(files) // MOST_PHOTOGRAPHS)]
    golden = [read_golden_set(repository.tower(one.name, Modality.IMAGE).golden, Modality.IMAGE) for one in manifests]
    return Inputs(
        vga=[_jpeg(picture.resize((640, 480))) for picture in pictures],
        photographs=[*map(_jpeg, pictures), *(path.read_bytes() for path in taken)],
        ugly=[entry for one in golden for entry in one.inputs if isinstance(entry, bytes)],
    )


def measure(inputs: Inputs, manifests: Sequence[Manifest], repository: ModelRepository) -> list[Figures]:
    tower = manifests[0].image
    assert tower
    assert all(manifest.image == tower for manifest in manifests)
    backends = {
        one.name: OnnxRuntimeBackend(repository.exported_tower(one, Modality.IMAGE).onnx, tower.output_name, 1)
        for one in manifests
    }
    rows = {name: np.stack([make(content, tower) for content in inputs.judged]) for name, make in WAYS.items()}
    expected = uint8_pixels(inputs.judged, manifest_processor(tower))
    vectors = {name: _vectors(backend, expected, tower) for name, backend in backends.items()}
    vga, photographs = _rates(inputs.vga, tower), _rates(inputs.photographs, tower)
    figures = []
    for name, own in rows.items():
        differences = np.abs(own.astype(int) - expected)
        cosines = {
            encoder: float(np.einsum("nd,nd->n", _vectors(backend, own, tower), vectors[encoder], dtype=float).min())
            for encoder, backend in backends.items()
        }
        largest, mean = int(differences.max()), float(differences.mean())
        figures.append(Figures(name, vga[name], photographs[name], largest, mean, cosines))
    return figures


def _rates(images: Sequence[bytes], tower: ImageTower) -> dict[str, float]:
    """Images a second of processor time: median of rounds in which all ways take turns."""
    chosen = [images[number % len(images)] for number in range(IMAGES_A_ROUND)]
    rates: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(ROUNDS):
        for name, make in WAYS.items():
            began_at = time.process_time()
            for content in chosen:
                make(content, tower)
            rates[name].append(len(chosen) / (time.process_time() - began_at))
    return {name: median(values) for name, values in rates.items()}


def show(figures: Sequence[Figures]) -> None:
    right = [f"{name}, lowest cosine" for name in ENCODERS]
    headers = ("640x480/s", "photographs/s", "largest", "mean difference", *right)
    table = tables.table(tables.column("way"), *(tables.column(header, justify="right") for header in headers))
    for one in figures:
        cosines = (f"{cosine:.6f}" for cosine in one.lowest_cosines.values())
        rates = f"{one.vga_per_second:.0f}", f"{one.photographs_per_second:.0f}"
        table.add_row(one.name, *rates, str(one.largest_difference), f"{one.mean_difference:.4f}", *cosines)
    tables.show(table)


def _vectors(backend: OnnxRuntimeBackend, rows: NDArray[np.uint8], tower: ImageTower) -> Float32:
    parts = (rows[start : start + BATCH_ITEMS] for start in range(0, len(rows), BATCH_ITEMS))
    return np.concatenate([backend.run({tower.input_name: part}) for part in parts])


def _is_plain_jpeg(content: bytes) -> bool:
    """Whether the other decoders may have it: three colours, and nothing to turn upright."""
    with Image.open(BytesIO(content)) as image:
        is_colour_jpeg = image.format == "JPEG" and image.mode == "RGB"
        return is_colour_jpeg and image.getexif().get(ExifTags.Base.Orientation, 1) == 1


def _scaled_size(size: tuple[int, int], tower: ImageTower) -> tuple[int, int]:
    edge, shorter = tower.resize_shorter_edge_pixels, min(size)
    return int(edge * size[0] / shorter), int(edge * size[1] / shorter)


def _middle(pixels: NDArray[np.uint8], tower: ImageTower) -> ImageRow:
    size = tower.size_pixels
    top, left = (pixels.shape[0] - size) // 2, (pixels.shape[1] - size) // 2
    return np.ascontiguousarray(pixels[top : top + size, left : left + size].transpose(2, 0, 1))


def _jpeg(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


if __name__ == "__main__":
    typer.run(main)
