"""Encoded images to `uint8 [3, size, size]`, as the reference preprocessing makes them."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from simila.domain.errors import InvalidImage, LimitExceeded
from simila.domain.manifest import ImageTower

ACCEPTED_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
SIXTEEN_BIT_GREY = ("I;16", "I;16L", "I;16B", "I;16N")
INTERPOLATIONS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}

# A sliver of 1 x 65,000 pixels, scaled whole, would take gigabytes. Beyond this only the part that is kept is
# scaled; Pillow then rounds in another order, which moves pixels by up to two grey levels.
MOST_SCALED_PIXELS_PER_KEPT = 16

# JPEG's own limit. Pillow keeps a pointer for each row, so a column of 50,000,000 pixels would take a gigabyte.
LONGEST_EDGE_PIXELS = 65_535

# Pillow's own limit warns where ours refuses; ours is a setting.
Image.MAX_IMAGE_PIXELS = None

ImageRow = NDArray[np.uint8]  # [3, size, size]


def image_row(data: bytes, tower: ImageTower, *, max_pixels: int) -> ImageRow:
    """Decode, turn upright, scale and crop one image to `uint8 [3, size, size]`.

    Raises:
        LimitExceeded: its header declares more than `max_pixels`, or too long an edge; nothing is decoded then.
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
    if max(image.size) > LONGEST_EDGE_PIXELS:
        raise LimitExceeded(f"an edge of the image has {max(image.size)} pixels, more than {LONGEST_EDGE_PIXELS}")
    if image.width * image.height > max_pixels:
        raise LimitExceeded(
            f"the image is {image.width} x {image.height} pixels, more than the limit of {max_pixels} pixels"
            " (SIMILA_LIMITS__MAX_IMAGE_PIXELS)"
        )


def _rgb(image: Image.Image) -> Image.Image:
    """Three channels of eight bits; what is transparent becomes white, as transformers and browsers show it."""
    if image.mode in SIXTEEN_BIT_GREY:
        # Pillow clips 16-bit grey at 255, which turns it white; the high byte is what OpenCV and scikit-image take.
        image = Image.fromarray((np.asarray(image, dtype=np.uint16) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image.convert("RGB")


def _resize_and_crop(image: Image.Image, tower: ImageTower) -> NDArray[np.uint8]:
    """Scale the shorter edge, cut the middle: `uint8 [size, size, 3]`."""
    scaled = _scaled_size(image.width, image.height, tower.resize_shorter_edge_pixels)
    size = tower.size_pixels
    left, top = (scaled[0] - size) // 2, (scaled[1] - size) // 2
    square = (left, top, left + size, top + size)
    filter_ = INTERPOLATIONS[tower.interpolation]
    if scaled[0] * scaled[1] <= MOST_SCALED_PIXELS_PER_KEPT * size * size:
        return np.asarray(image.resize(scaled, filter_).crop(square))
    return np.asarray(image.resize((size, size), filter_, box=_unscaled(square, image, scaled)))


def _unscaled(
    square: tuple[int, int, int, int], image: Image.Image, scaled: tuple[int, int]
) -> tuple[float, float, float, float]:
    """The part of the image that a square of the scaled image shows."""
    per_column, per_row = image.width / scaled[0], image.height / scaled[1]
    left, top, right, bottom = square
    return left * per_column, top * per_row, right * per_column, bottom * per_row


def _scaled_size(width: int, height: int, shorter_edge: int) -> tuple[int, int]:
    if width <= height:
        return shorter_edge, int(shorter_edge * height / width)
    return int(shorter_edge * width / height), shorter_edge


def _describe(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"not an image of an accepted format ({', '.join(ACCEPTED_FORMATS)})"
    return f"the image cannot be decoded: {error}"
