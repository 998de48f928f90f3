"""Pictures in memory as files. Apart from the rest, because it needs Pillow."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from simila_client.errors import InvalidArgument

PNG_MODES = {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"}


def png(picture: Image.Image | NDArray[Any]) -> bytes:
    """A picture, or `uint8 [h, w]`, `[h, w, 3]` (RGB) or `[h, w, 4]` (RGBA), as PNG: no value changes.

    Raises:
        InvalidArgument: an array of another dtype or shape.

    """
    if isinstance(picture, np.ndarray):
        picture = _of_array(picture)
    # PNG says nothing of EXIF's orientation here, which the server would heed in the picture's own file.
    upright = ImageOps.exif_transpose(picture)
    if upright.mode not in PNG_MODES:
        upright = upright.convert("RGB")
    file = io.BytesIO()
    upright.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _of_array(pixels: NDArray[Any]) -> Image.Image:
    is_grey, is_coloured = pixels.ndim == 2, pixels.ndim == 3 and pixels.shape[2] in (3, 4)
    if pixels.dtype != np.uint8 or not (is_grey or is_coloured) or not pixels.size:
        given = f"an array of {pixels.dtype} {list(pixels.shape)}"
        raise InvalidArgument(f"{given} is no picture: give uint8 [h, w], [h, w, 3] or [h, w, 4]")
    return Image.fromarray(np.ascontiguousarray(pixels))
