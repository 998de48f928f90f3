"""Encoded images to small ones."""

import io

from PIL import Image, ImageOps

from simila.domain.errors import InvalidImage, LimitExceeded
from simila.preprocessing.images import ACCEPTED_FORMATS, check_size

JPEG_QUALITY = 82


def thumbnail(data: bytes, *, edge_pixels: int, max_pixels: int) -> bytes:
    """A JPEG of the image, upright, neither edge longer than `edge_pixels`; what is transparent becomes white.

    Raises:
        LimitExceeded: its header declares more than `max_pixels`; nothing is decoded then.
        InvalidImage: it is not of `ACCEPTED_FORMATS`, or damaged.

    """
    try:
        with Image.open(io.BytesIO(data), formats=ACCEPTED_FORMATS) as image:
            check_size(image.width, image.height, max_pixels)
            image.draft("RGB", (edge_pixels, edge_pixels))  # a picture to look at needs not every coefficient
            small = ImageOps.exif_transpose(image).convert("RGBA")
    except LimitExceeded:
        raise
    except Exception as error:  # decoders raise whatever hostile bytes make them raise
        raise InvalidImage(f"the image cannot be decoded: {error}") from error
    small.thumbnail((edge_pixels, edge_pixels))
    drawn = io.BytesIO()
    Image.alpha_composite(Image.new("RGBA", small.size, "white"), small).convert("RGB").save(
        drawn, "JPEG", quality=JPEG_QUALITY
    )
    return drawn.getvalue()
