"""Encoded images to `uint8 [3, size, size]`, as the reference preprocessing makes them."""

import io
from collections.abc import Sequence
from math import floor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from simila.domain.errors import InvalidImage, LimitExceeded
from simila.domain.inputs import View
from simila.domain.manifest import ImageTower
from simila.preprocessing.views import seen_as

ACCEPTED_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
# Floats and 32-bit integers have no white of their own; Pillow would clip them at 255 and say nothing.
WITHOUT_WHITE = ("F", "I")
SIXTEEN_BIT_GREY = ("I;16", "I;16L", "I;16B", "I;16N")
INTERPOLATIONS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
}
LARGEST_SUPPORT = 3  # pixels that Lanczos interpolation reads on either side

# JPEG's own limit. Pillow keeps a pointer for each row, so a column of 50,000,000 pixels would take a gigabyte.
LONGEST_EDGE_PIXELS = 65_535

# libtiff's own limit, for JPEG in TIFF: a scan may take 25 bytes of the file, and costs a pass over all pixels.
MOST_JPEG_SCANS = 100
_JPEG_START, _JPEG_SCAN = b"\xff\xd8", b"\xff\xda"

# Pillow's own limit warns where ours refuses; ours is a setting.
Image.MAX_IMAGE_PIXELS = None

ImageRow = NDArray[np.uint8] | NDArray[np.uint16]  # [channels, size, size]


def image_row(data: bytes, tower: ImageTower, *, max_pixels: int) -> ImageRow:
    """Decode, turn upright, scale and crop one image to `uint8 [3, size, size]`.

    Raises:
        LimitExceeded, InvalidImage: see `image_rows`.

    """
    return image_rows(data, tower, max_pixels=max_pixels, views=("plain",))[0]


def image_rows(data: bytes, tower: ImageTower, *, max_pixels: int, views: Sequence[View]) -> list[ImageRow]:
    """Like `image_row`, one row for each of the `views`, of an image that is decoded once.

    Raises:
        LimitExceeded: its header declares more than `max_pixels`, or too long an edge, or it has too many JPEG scans;
            nothing is decoded then.
        InvalidImage: it is not of `ACCEPTED_FORMATS`, damaged or cut short.

    """
    _check_scans(data)
    try:
        with Image.open(io.BytesIO(data), formats=ACCEPTED_FORMATS) as image:
            check_size(image.width, image.height, max_pixels)
            ImageOps.exif_transpose(image, in_place=True)  # else it copies even what it does not turn
            picture = _rgb(image, tower)
            seen = [resize_and_crop(seen_as(picture, view), tower) for view in views]
    except (LimitExceeded, InvalidImage):
        raise
    except Exception as error:  # decoders raise whatever hostile bytes make them raise
        raise InvalidImage(_describe(error)) from error
    return [np.ascontiguousarray(pixels.transpose(2, 0, 1)) for pixels in seen]


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse what would take too much memory, before it is decoded.

    Raises:
        LimitExceeded: there are more than `max_pixels`, or too long an edge.

    """
    if max(width, height) > LONGEST_EDGE_PIXELS:
        raise LimitExceeded(f"an edge of the image has {max(width, height)} pixels, more than {LONGEST_EDGE_PIXELS}")
    if width * height > max_pixels:
        raise LimitExceeded(
            f"the image is {width} x {height} pixels, more than the limit of {max_pixels} pixels"
            " (SIMILA_LIMITS__MAX_IMAGE_PIXELS)"
        )


def _check_scans(data: bytes) -> None:
    # Within a scan 0xff is followed by 0x00, so that these two bytes begin one (ITU-T T.81, B.1.1.5).
    if data.startswith(_JPEG_START) and (scans := data.count(_JPEG_SCAN)) > MOST_JPEG_SCANS:
        raise LimitExceeded(f"the JPEG has {scans} scans, more than {MOST_JPEG_SCANS}")


def _rgb(image: Image.Image, tower: ImageTower) -> Image.Image:
    """Three channels of eight bits; what is transparent becomes white, as transformers and browsers show it."""
    if image.mode in WITHOUT_WHITE:
        raise InvalidImage("an image of floats or 32-bit integers does not say which value is white; send 8 or 16 bits")
    if image.mode in SIXTEEN_BIT_GREY:
        # Pillow clips 16-bit grey at 255, which turns it white; the high byte is what OpenCV and scikit-image take.
        image = Image.fromarray((np.asarray(image, dtype=np.uint16) >> 8).astype(np.uint8))
    if image.has_transparency_data and tower.transparency == "white":
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image if image.mode == "RGB" else image.convert("RGB")  # Pillow would copy what is RGB already


def resize_and_crop(image: Image.Image, tower: ImageTower) -> NDArray[Any]:
    """Squash, or scale the shorter edge, cut the middle and compute only what is cut: `[size, size, …]`, as the image.

    Pixels are those of an image that is scaled whole and then cut; because Pillow holds a box in float32, a few of
    them are rounded otherwise, by one grey level, seldom two.
    """
    size = tower.size_pixels
    filter_ = INTERPOLATIONS[tower.interpolation]
    if tower.resize_shorter_edge_pixels is None:
        return np.asarray(image.resize((size, size), filter_))
    scaled = _scaled_size(image.width, image.height, tower.resize_shorter_edge_pixels)
    left, top, right, bottom = _kept_part(image.size, scaled, tower)
    if _rows_first(image.size, (size, size)) and not _rows_first(image.size, scaled):
        # Bytes are rounded between the two passes, and another order would move pixels by up to five grey levels.
        margin = LARGEST_SUPPORT * max(1.0, image.height / scaled[1]) + 1
        first, last = max(0, int(top - margin)), min(image.height, int(bottom + margin) + 1)
        rows = image.crop((0, first, image.width, last))
        image = rows.resize((size, rows.height), filter_, box=(left, 0, right, rows.height))
        left, top, right, bottom = 0, top - first, size, bottom - first
    return np.asarray(image.resize((size, size), filter_, box=(left, top, right, bottom)))


def _rows_first(size: tuple[int, int], target: tuple[int, int]) -> bool:
    """Whether Pillow scales the height before the width: where it shrinks by more than twice as many pixels."""
    fewer_columns, fewer_rows = size[0] - target[0], size[1] - target[1]
    return fewer_rows > max(0, 2 * fewer_columns)


def _kept_part(size: tuple[int, int], scaled: tuple[int, int], tower: ImageTower) -> tuple[float, float, float, float]:
    """The part of the image of which the middle square of the scaled image is made."""
    kept = tower.size_pixels
    per_column, per_row = size[0] / scaled[0], size[1] / scaled[1]
    rounded = floor if tower.crop_offset == "floor" else round
    left, top = rounded((scaled[0] - kept) / 2), rounded((scaled[1] - kept) / 2)
    return left * per_column, top * per_row, (left + kept) * per_column, (top + kept) * per_row


def _scaled_size(width: int, height: int, shorter_edge: int) -> tuple[int, int]:
    if width <= height:
        return shorter_edge, int(shorter_edge * height / width)
    return int(shorter_edge * width / height), shorter_edge


def _describe(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"not an image of an accepted format ({', '.join(ACCEPTED_FORMATS)})"
    return f"the image cannot be decoded: {error}"
