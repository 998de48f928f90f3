"""The reference's way from an image file to pixels: Pillow, and the image processors of transformers."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from transformers import AutoImageProcessor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from simila.domain.errors import InvalidManifest
from simila.domain.manifest import ImageTower
from simila.domain.vectors import Float32
from simila_models.export.golden_images import golden_images

_RESAMPLING = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
}


_drawn = cache(golden_images)  # drawing takes longer than exporting a small network


@dataclass(frozen=True)
class ReferencePixels:
    """Golden images as a reference prepares them."""

    images: Mapping[str, bytes]
    rows: NDArray[Any]  # [n, channels, height, width], as the server sends them to the graph
    normalised: Float32  # [n, channels, height, width], as the checkpoint's library sends them to its model


def pixels_by_transform(tower: ImageTower, transform: Callable[[Image.Image], Any]) -> ReferencePixels:
    """Golden images by a transform of torchvision, which makes RGB images into normalised tensors."""
    images = _drawn()
    normalised = np.stack([transform(decoded(data).convert("RGB")).numpy() for data in images.values()])
    mean, std = (np.array(values).reshape(1, -1, 1, 1) for values in (tower.mean, tower.std))
    return ReferencePixels(images, np.rint(255 * (normalised * std + mean)).astype(np.uint8), normalised)


def pixels_by_manifest(tower: ImageTower) -> ReferencePixels:
    """Golden images as the manifest says, for checkpoints that bring no processor."""
    return pixels_by_processor(manifest_processor(tower))


def pixels_by_processor(processor: Any) -> ReferencePixels:
    """Golden images by an image processor of transformers."""
    images = _drawn()
    return ReferencePixels(
        images, uint8_pixels(images.values(), processor), normalised_pixels(images.values(), processor)
    )


def normalised_pixels(images: Iterable[bytes], processor: Any) -> Float32:
    """Decode, resize, crop and normalise to `float32 [n, 3, size_pixels, size_pixels]`."""
    rows = [_processed(processor, data) for data in images]
    return np.stack(rows).astype(np.float32)


def uint8_pixels(images: Iterable[bytes], processor: Any) -> NDArray[np.uint8]:
    """Decode, resize and crop to `uint8 [n, 3, size_pixels, size_pixels]`."""
    rows = [_processed(processor, data, do_rescale=False, do_normalize=False) for data in images]
    return np.stack(rows).astype(np.uint8)


def decoded(data: bytes) -> Image.Image:
    """Decode and turn upright; the image processor puts what is transparent on white."""
    image = ImageOps.exif_transpose(Image.open(BytesIO(data)))
    if image.mode.startswith("I;16"):
        # Pillow's own conversion takes every value above 255 for white. OpenCV keeps the high byte.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image


def manifest_processor(tower: ImageTower) -> CLIPImageProcessorPil:
    """Transformers' CLIP processor with a manifest's figures, for checkpoints that bring none."""
    square = {"height": tower.size_pixels, "width": tower.size_pixels}
    shorter_edge = tower.resize_shorter_edge_pixels
    return CLIPImageProcessorPil(
        size={"shortest_edge": shorter_edge} if shorter_edge else square,
        crop_size=square,
        resample=_RESAMPLING[tower.interpolation],
        image_mean=list(tower.mean),
        image_std=list(tower.std),
    )


def checkpoint_processor(folder: Path) -> Any:
    """The image processor that a checkpoint names, on Pillow.

    Raises:
        InvalidManifest: it names none, or one that transformers does not have.

    """
    try:
        return AutoImageProcessor.from_pretrained(  # type: ignore[no-untyped-call]
            folder, backend="pil", local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise InvalidManifest(f"the checkpoint's image processor cannot be read: {error}") from error


def _processed(processor: Any, data: bytes, **options: bool) -> NDArray[Any]:
    # Told to: some processors expect images that are RGB already.
    return cast("NDArray[Any]", processor(images=decoded(data), do_convert_rgb=True, **options)["pixel_values"][0])
