"""Pictures in all their forms, as the bytes that are sent."""

import io

import numpy as np
import pytest
from PIL import Image

from simila_client import Example, InvalidArgument, Item, StoredId
from simila_client.contents import read, size_bytes

PIXELS = np.arange(4 * 3 * 3, dtype=np.uint8).reshape(4, 3, 3)


def pixels_of(content):
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize("pixels", [PIXELS, PIXELS[..., 0], np.dstack([PIXELS, PIXELS[..., :1]])], ids=["3", "1", "4"])
def test_an_array_of_pixels_is_sent_without_loss(pixels):
    np.testing.assert_array_equal(pixels_of(read(pixels)), pixels)


def test_a_picture_of_pillow_is_sent_without_loss():
    np.testing.assert_array_equal(pixels_of(read(Image.fromarray(PIXELS))), PIXELS)


def test_a_picture_whose_mode_png_lacks_is_sent_in_rgb():
    picture = Image.fromarray(PIXELS).convert("CMYK")
    np.testing.assert_array_equal(pixels_of(read(picture)), np.asarray(picture.convert("RGB")))


def test_a_rotated_photograph_is_sent_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    Image.fromarray(PIXELS).save(tmp_path / "photo.png", exif=exif)
    with Image.open(tmp_path / "photo.png") as picture:
        np.testing.assert_array_equal(pixels_of(read(picture)), np.rot90(PIXELS, -1))


def test_a_file_is_sent_as_it_is(tmp_path):
    (tmp_path / "photo").write_bytes(b"anything")
    assert read(tmp_path / "photo") == b"anything"


@pytest.mark.parametrize(
    "content", ["a text", b"an image", StoredId("7"), [0.5, 1.0]], ids=["text", "bytes", "id", "list"]
)
def test_everything_else_stays_what_it_is(content):
    assert read(content) is content


def test_a_vector_is_no_picture():
    vector = np.ones(3)
    assert read(vector) is vector


def test_items_and_examples_have_their_contents_read(tmp_path):
    (tmp_path / "photo").write_bytes(b"p")
    assert read(Item("1", tmp_path / "photo", label="l")) == Item("1", b"p", label="l")
    assert read(Example(tmp_path / "photo", "l")) == Example(b"p", "l")


@pytest.mark.parametrize("shape", [(2, 2, 2), (2, 0), (1, 2, 2, 3)])
def test_an_array_of_another_shape_is_refused(shape):
    with pytest.raises(InvalidArgument, match=r"^an array of uint8 \[.*\] is no picture"):
        read(np.zeros(shape, dtype=np.uint8))


def test_sizes_are_known_before_anything_is_read(tmp_path):
    (tmp_path / "photo").write_bytes(b"12345")
    sizes = [size_bytes(one) for one in ("abc", b"1234", tmp_path / "photo", tmp_path / "no", PIXELS)]
    assert sizes == [3, 4, 5, 0, 36]
    assert size_bytes(Image.fromarray(PIXELS)) == 36
