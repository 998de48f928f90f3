"""What is refused, and that refusing is cheap. Pixels are compared with the reference in tests/parity."""

import struct
import time
import tracemalloc
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from simila.domain.errors import InvalidImage, LimitExceeded
from simila.domain.manifest import ImageTower
from simila.preprocessing.images import image_row

MAX_PIXELS = 50_000_000
TOWER = ImageTower(
    size_pixels=224,
    resize_shorter_edge_pixels=256,
    interpolation="bicubic",
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    pooling="average",
)
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8))
NOT_ACCEPTED = "not an image of an accepted format (JPEG, PNG, WEBP, GIF, BMP, TIFF)"
BOMB_BYTES = 65_000_000


def encoded(image, kind, **options):
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_chunk(kind, content):
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def png(width, height, *, more_chunks=b"", pixels=b""):
    """A PNG of eight-bit RGB that declares what it likes."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + more_chunks
        + png_chunk(b"IDAT", zlib.compress(pixels))
        + png_chunk(b"IEND", b"")
    )


def webp(width, height):
    """An animated WebP of one small frame on a canvas that declares what it likes."""
    frame = encoded(Image.new("RGB", (8, 8)), "WEBP", lossless=True)[12:]
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    place = bytes(6) + (7).to_bytes(3, "little") * 2 + (100).to_bytes(3, "little") + b"\0" + frame
    chunks = [(b"VP8X", b"\x02\0\0\0" + canvas), (b"ANIM", bytes(6)), (b"ANMF", place)]
    body = b"WEBP" + b"".join(kind + struct.pack("<I", len(content)) + content for kind, content in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def gif(width, height):
    size = struct.pack("<HH", width, height)
    return b"GIF89a" + size + bytes(3) + b"," + bytes(4) + size + b"\0" + b"\x02\x02\x4c\x01\0" + b";"


def jpeg(width, height):
    content = bytearray(encoded(NOISE, "JPEG"))
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(content)


def tiff(width, height):
    """One strip of LZW, which declares what it likes."""
    values = {256: width, 257: height, 258: 8, 259: 5, 262: 1, 273: 8, 277: 1, 278: height, 279: 4}
    entries = b"".join(struct.pack("<HHLL", tag, 4, 1, value) for tag, value in values.items())
    return b"II*\0" + struct.pack("<L", 12) + bytes(4) + struct.pack("<H", len(values)) + entries + bytes(4)


def bmp(width, height):
    information = struct.pack("<LllHHLLllLL", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<LHHL", 58, 0, 0, 54) + information + bytes(4)


def row_of(content, max_pixels=MAX_PIXELS):
    return image_row(content, TOWER, max_pixels=max_pixels)


def cost_of_refusing(content, error):
    """Seconds of a core, and most bytes held, while `content` is refused with `error`."""
    began_at = time.thread_time()
    tracemalloc.start()
    try:
        with pytest.raises(error) as refused:
            row_of(content)
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return refused.value.message, time.thread_time() - began_at, most_bytes


@pytest.mark.parametrize("make", [png, webp, gif, jpeg, tiff, bmp])
def test_a_header_that_declares_too_many_pixels_is_refused_before_decoding(make):
    row_of(encoded(NOISE, make.__name__))  # Pillow loads its plugin once
    message, seconds, most_bytes = cost_of_refusing(make(40_000, 40_000), LimitExceeded)
    assert message == (
        "the image is 40000 x 40000 pixels, more than the limit of 50000000 pixels (SIMILA_LIMITS__MAX_IMAGE_PIXELS)"
    )
    assert seconds < 0.5
    assert most_bytes < 1_000_000


def test_the_limit_counts_pixels_and_is_inclusive():
    content = encoded(NOISE, "PNG")
    assert row_of(content, max_pixels=60 * 80).shape == (3, 224, 224)
    with pytest.raises(LimitExceeded, match=f"more than the limit of {60 * 80 - 1} pixels"):
        row_of(content, max_pixels=60 * 80 - 1)


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_compressed_metadata_that_explodes_is_refused(kind):
    start = {b"zTXt": b"Comment\0\0", b"iTXt": b"Comment\0\1\0\0\0", b"iCCP": b"profile\0\0"}[kind]
    bomb = png_chunk(kind, start + zlib.compress(bytes(BOMB_BYTES)))
    message, seconds, most_bytes = cost_of_refusing(png(1, 1, more_chunks=bomb, pixels=bytes(4)), InvalidImage)
    assert message.startswith("the image cannot be decoded: Decompressed data too large")
    assert seconds < 0.5
    assert most_bytes < BOMB_BYTES / 20


def test_much_plain_metadata_is_refused():
    comments = b"".join(png_chunk(b"tEXt", b"Comment %d\0" % number + bytes(1_000_000)) for number in range(70))
    with pytest.raises(InvalidImage, match="the image cannot be decoded: Too much memory used in text chunks"):
        row_of(png(1, 1, more_chunks=comments, pixels=bytes(4)))


def test_more_pixel_data_than_declared_is_left_alone():
    row = row_of(png(1, 1, pixels=b"\0\x0a\x14\x1e" + bytes(BOMB_BYTES)))
    assert np.unique(row.reshape(3, -1), axis=1).T.tolist() == [[10, 20, 30]]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_an_image_cut_short_is_refused(kind):
    content = encoded(NOISE, kind)
    with pytest.raises(InvalidImage, match=r"^the image cannot be decoded: ") as refused:
        row_of(content[: len(content) // 2])
    assert "truncated" in refused.value.message or kind == "WEBP"


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_an_image_cut_anywhere_is_an_invalid_image_or_whole(kind):
    content = encoded(NOISE.crop((0, 0, 16, 16)), kind)
    refused = 0
    for end in range(len(content)):
        try:
            row_of(content[:end])
        except InvalidImage:
            refused += 1
    assert refused > 0.9 * len(content)


@pytest.mark.parametrize("kind", ["ICO", "PPM", "TGA", "EPS", "PDF", "JPEG2000"])
def test_a_format_that_is_not_accepted_is_refused(kind):
    with pytest.raises(InvalidImage) as refused:
        row_of(encoded(NOISE, kind))
    assert refused.value.message == NOT_ACCEPTED


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x89PNG",
        b"\xff\xd8",
        np.random.default_rng(1).bytes(1000),
        b"<html>",
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    ],
    ids=["empty", "png-signature", "jpeg-signature", "noise", "html", "svg"],
)
def test_what_is_no_image_is_refused(content):
    with pytest.raises(InvalidImage) as refused:
        row_of(content)
    assert refused.value.message == NOT_ACCEPTED


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_damaged_exif_does_no_harm(kind):
    damaged = encoded(NOISE, kind, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\xff\1\2")
    np.testing.assert_array_equal(row_of(damaged), row_of(encoded(NOISE, kind)))


def test_an_orientation_that_does_not_exist_is_none():
    exif = Image.Exif()
    exif[0x112] = 99
    np.testing.assert_array_equal(row_of(encoded(NOISE, "JPEG", exif=exif)), row_of(encoded(NOISE, "JPEG")))


@pytest.mark.parametrize("transposed", [False, True])
def test_a_sliver_shows_its_middle(transposed):
    grey = np.zeros((1, 65_000), dtype=np.uint8)
    grey[0, 32_490:32_510] = 200
    content = encoded(Image.fromarray(grey.T if transposed else grey), "PNG")
    row = row_of(content)
    assert np.unique(row).tolist() == [200]


def test_an_edge_past_the_limit_is_refused():
    with pytest.raises(LimitExceeded, match="an edge of the image has 65536 pixels, more than 65535"):
        row_of(encoded(Image.new("L", (1, 65_536)), "PNG"))


def test_a_row_is_contiguous_and_channels_come_red_green_blue():
    row = row_of(encoded(Image.new("RGB", (30, 20), (250, 120, 10)), "PNG"))
    assert row.flags.c_contiguous
    assert [np.unique(channel).tolist() for channel in row] == [[250], [120], [10]]


@pytest.mark.parametrize("values", [np.ones((4, 4), dtype=np.float32), np.full((4, 4), 70_000, dtype=np.int32)])
def test_values_without_a_white_are_refused(values):
    with pytest.raises(InvalidImage, match="does not say which value is white"):
        row_of(encoded(Image.fromarray(values), "TIFF"))


def scans(count):
    """A progressive JPEG whose last scan comes `count` times in all: 25 bytes, and a pass over all pixels, for each."""
    content = encoded(Image.new("L", (64, 64), 128), "JPEG", progressive=True)
    start = content.rindex(b"\xff\xda")
    return content[:start] + content[start:-2] * (count - content.count(b"\xff\xda") + 1) + content[-2:]


def test_a_jpeg_of_a_hundred_scans_is_decoded_and_of_more_refused():
    np.testing.assert_array_equal(row_of(scans(100)), row_of(encoded(Image.new("L", (64, 64), 128), "JPEG")))
    with pytest.raises(LimitExceeded, match="the JPEG has 101 scans, more than 100"):
        row_of(scans(101))
