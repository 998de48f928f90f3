"""The golden images are what their names say, and the reference reads them as its documentation says."""

from io import BytesIO

import numpy as np
import pytest
from PIL import ExifTags, Image

from simila.domain.manifest import ImageTower
from simila_models.export.golden_images import golden_images
from simila_models.export.reference_preprocessing import decoded, manifest_processor, normalised_pixels, uint8_pixels

TOWER = ImageTower(
    size_pixels=32,
    resize_shorter_edge_pixels=40,
    interpolation="bicubic",
    mean=(127 / 255, 0.5, 0.5),
    std=(128 / 255, 0.5, 0.25),
    pooling="average",
)
PROCESSOR = manifest_processor(TOWER)


@pytest.fixture(scope="module")
def images() -> dict[str, bytes]:
    return golden_images()


def test_golden_images_are_drawn_the_same_every_time(images: dict[str, bytes]) -> None:
    assert golden_images() == images


def test_golden_images_are_of_the_kinds_that_go_wrong(images: dict[str, bytes]) -> None:
    opened = {name: Image.open(BytesIO(data)) for name, data in images.items()}
    assert {name: (image.mode, image.size) for name, image in opened.items()} == {
        "landscape.jpg": ("RGB", (640, 427)),
        "tall.jpg": ("RGB", (200, 900)),
        "rotated-6.jpg": ("RGB", (500, 300)),
        "rotated-3.jpg": ("RGB", (480, 360)),
        "cmyk.jpg": ("CMYK", (420, 300)),
        "palette-transparent.png": ("P", (400, 300)),
        "rgba.png": ("RGBA", (400, 300)),
        "grey-alpha.png": ("LA", (300, 400)),
        "grey-16-bit.png": ("I;16", (400, 300)),
        "grey.jpg": ("L", (333, 251)),
        "one-pixel.png": ("RGB", (1, 1)),
        "one-pixel-high.png": ("RGB", (300, 1)),
        "large.jpg": ("RGB", (3000, 2000)),
    }
    orientations = [opened[f"rotated-{tag}.jpg"].getexif()[ExifTags.Base.Orientation] for tag in (6, 3)]
    assert orientations == [6, 3]
    assert "transparency" in opened["palette-transparent.png"].info


def test_a_rotated_image_is_turned_upright(images: dict[str, bytes]) -> None:
    for name, turn in (("rotated-6.jpg", Image.Transpose.ROTATE_270), ("rotated-3.jpg", Image.Transpose.ROTATE_180)):
        stored = Image.open(BytesIO(images[name]))
        np.testing.assert_array_equal(np.asarray(decoded(images[name])), np.asarray(stored.transpose(turn)))


def test_sixteen_bits_keep_their_high_byte(images: dict[str, bytes]) -> None:
    stored = np.asarray(Image.open(BytesIO(images["grey-16-bit.png"])))
    assert stored.max() > 255
    np.testing.assert_array_equal(np.asarray(decoded(images["grey-16-bit.png"])), stored // 256)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("RGBA", (50, 50), (10, 20, 30, 0)), [255, 255, 255]),
        (Image.new("RGBA", (50, 50), (0, 100, 200, 51)), [204, 224, 244]),
        (Image.new("LA", (50, 50), (0, 51)), [204, 204, 204]),
        (Image.new("CMYK", (50, 50), (255, 0, 0, 0)), [0, 255, 255]),
    ],
)
def test_every_colour_mode_becomes_rgb_on_white(image: Image.Image, expected: list[int]) -> None:
    buffer = BytesIO()
    image.save(buffer, "TIFF")
    assert uint8_pixels([buffer.getvalue()], PROCESSOR)[0, :, 5, 5].tolist() == expected


def test_pixels_are_normalised_by_channel() -> None:
    buffer = BytesIO()
    Image.new("RGB", (50, 41), (0, 255, 255)).save(buffer, "PNG")
    pixels = normalised_pixels([buffer.getvalue()], PROCESSOR)
    assert pixels.shape == (1, 3, 32, 32)
    np.testing.assert_allclose(pixels[0, :, 5, 5], [-127 / 128, 1, 2], atol=1e-6)
    assert uint8_pixels([buffer.getvalue()], PROCESSOR)[0, :, 5, 5].tolist() == [0, 255, 255]


def test_the_middle_is_cut_out() -> None:
    columns = np.repeat(np.arange(100, dtype=np.uint8)[None], 40, axis=0)
    buffer = BytesIO()
    Image.fromarray(columns).save(buffer, "PNG")
    row = uint8_pixels([buffer.getvalue()], PROCESSOR)[0, 0, 0]
    assert row.tolist() == list(range(34, 66))
