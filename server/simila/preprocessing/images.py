"""Encoded images to `uint8 [3, size, size]`, within two grey levels of the reference preprocessing."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from simila.domain.errors import InvalidImage, LimitExceeded
from simila.domain.manifest import ImageTower

ACCEPTED_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
SIXTEEN_BIT_GREY = ("I;16", "I;16L", "I;16B", "I;16N")
INTERPOLATIONS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}

# Pillow's own limit warns where ours refuses; ours is a setting.
Image.MAX_IMAGE_PIXELS = None

ImageRow = NDArray[np.uint8]  # [3, size, size]


def image_row(data: bytes, tower: ImageTower, *, max_pixels: int) -> ImageRow:
    """Decode, turn upright, scale and crop one image to `uint8 [3, size, size]`.

    Raises:
        LimitExceeded: its header declares more than `max_pixels`; nothing is decoded then.
        InvalidImage: it is not of `ACCEPTED_FORMATS`, damaged or cut short.

    """
    try:
        with Image.open(io.BytesIO(data), formats=ACCEPTED_FORMATS) as image:
            _check_pixels(image, max_pixels)
            pixels = _resize_and_crop(_rgb(ImageOps.exif_transpose(image)), tower)
    except LimitExceeded:
        raise
    except Exception as error:  # decoders raise whatever hostile bytes make them raise
        raise InvalidImage(_describe(error)) from error
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _check_pixels(image: Image.Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise LimitExceeded(
            f"the image is {image.width} x {image.height} pixels, more than the limit of {max_pixels} pixels"
            " (SIMILA_LIMITS__MAX_IMAGE_PIXELS)"
        )


def _rgb(image: Image.Image) -> Image.Image:
    """Three channels of eight bits; alpha is dropped, as the reference libraries do."""
    if image.mode in SIXTEEN_BIT_GREY:
        # Pillow clips 16-bit grey at 255, which turns it white; the high byte is what OpenCV and scikit-image take.
        image = Image.fromarray((np.asarray(image, dtype=np.uint16) >> 8).astype(np.uint8))
    return image.convert("RGB")


def _resize_and_crop(image: Image.Image, tower: ImageTower) -> NDArray[np.uint8]:
    """Scale the shorter edge, cut the middle: `uint8 [size, size, 3]`.

    Only the part that survives the crop is computed: an image of 1 x 50,000,000 pixels costs no more than another.
    Pillow samples the same grid with the same filter support for a part as for the whole; what differs is the rounding
    of the box to float32, which moves a few pixels by one or two grey levels.
    """
    scaled_width, scaled_height = _scaled_size(image.width, image.height, tower.resize_shorter_edge_pixels)
    size = tower.size_pixels
    left, top = (scaled_width - size) // 2, (scaled_height - size) // 2
    per_column, per_row = image.width / scaled_width, image.height / scaled_height
    box = (left * per_column, top * per_row, (left + size) * per_column, (top + size) * per_row)
    return np.asarray(image.resize((size, size), INTERPOLATIONS[tower.interpolation], box=box))


def _scaled_size(width: int, height: int, shorter_edge: int) -> tuple[int, int]:
    if width <= height:
        return shorter_edge, int(shorter_edge * height / width)
    return int(shorter_edge * width / height), shorter_edge


def _describe(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"not an image of an accepted format ({', '.join(ACCEPTED_FORMATS)})"
    return f"the image cannot be decoded: {error}"
