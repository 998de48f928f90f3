"""Small pictures to look at."""

import io

import pytest
from PIL import Image

from simila.domain.errors import InvalidImage, LimitExceeded
from simila.preprocessing.thumbnails import thumbnail


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_the_longer_edge_is_as_long_as_asked_and_the_shape_stays() -> None:
    small = opened(thumbnail(encoded(Image.new("RGB", (400, 100), "red")), edge_pixels=64, max_pixels=10**6))
    assert (small.format, small.size) == ("JPEG", (64, 16))


def test_it_is_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(Image.new("RGB", (400, 100)), "JPEG", exif=exif)
    assert opened(thumbnail(turned, edge_pixels=64, max_pixels=10**6)).size == (16, 64)


def test_what_is_transparent_becomes_white() -> None:
    clear = encoded(Image.new("RGBA", (32, 32), (255, 0, 0, 0)))
    assert opened(thumbnail(clear, edge_pixels=32, max_pixels=10**6)).getpixel((5, 5)) == (255, 255, 255)


def test_more_pixels_than_the_limit_are_not_decoded() -> None:
    with pytest.raises(LimitExceeded, match="SIMILA_LIMITS__MAX_IMAGE_PIXELS"):
        thumbnail(encoded(Image.new("RGB", (100, 100))), edge_pixels=64, max_pixels=9999)


def test_what_is_no_image_says_so() -> None:
    with pytest.raises(InvalidImage):
        thumbnail(b"no image", edge_pixels=64, max_pixels=10**6)
