"""The reference's way from an image file to pixels: Pillow, and the image processor of transformers' CLIP."""

from collections.abc import Iterable
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from simila.domain.manifest import ImageTower
from simila.domain.vectors import Float32

_RESAMPLING = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
}


def normalised_pixels(images: Iterable[bytes], tower: ImageTower) -> Float32:
    """Decode, resize, crop and normalise to `float32 [n, 3, size_pixels, size_pixels]`."""
    processor = _processor(tower)
    rows = [processor(images=decoded(data))["pixel_values"][0] for data in images]
    return np.stack(rows).astype(np.float32)


def uint8_pixels(images: Iterable[bytes], tower: ImageTower) -> NDArray[np.uint8]:
    """Decode, resize and crop to `uint8 [n, 3, size_pixels, size_pixels]`."""
    processor = _processor(tower)
    rows = [processor(images=decoded(data), do_rescale=False, do_normalize=False)["pixel_values"][0] for data in images]
    return np.stack(rows).astype(np.uint8)


def decoded(data: bytes) -> Image.Image:
    """Decode and turn upright; the image processor puts what is transparent on white."""
    image = ImageOps.exif_transpose(Image.open(BytesIO(data)))
    if image.mode.startswith("I;16"):
        # Pillow's own conversion takes every value above 255 for white. OpenCV keeps the high byte.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image


def _processor(tower: ImageTower) -> CLIPImageProcessorPil:
    square = {"height": tower.size_pixels, "width": tower.size_pixels}
    shorter_edge = tower.resize_shorter_edge_pixels
    return CLIPImageProcessorPil(
        size={"shortest_edge": shorter_edge} if shorter_edge else square,
        crop_size=square,
        resample=_RESAMPLING[tower.interpolation],
        image_mean=list(tower.mean),
        image_std=list(tower.std),
    )
