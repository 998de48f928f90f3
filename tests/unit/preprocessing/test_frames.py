"""Images of many frames: the first is read, and the others are neither decoded nor kept."""

import tracemalloc
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from simila.domain.manifest import ImageTower
from simila.preprocessing.images import image_row

FRAMES = 50
DAMAGED_BYTES = 1000
TOWER = ImageTower(
    size_pixels=32,
    resize_shorter_edge_pixels=32,
    interpolation="bicubic",
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    pooling="average",
)


def encoded(kind, frames):
    pixels = np.random.default_rng(0).integers(0, 256, (frames, 40, 40), dtype=np.uint8)
    first, *others = map(Image.fromarray, pixels)
    options = {"WEBP": {"lossless": True}, "TIFF": {"compression": "tiff_lzw"}}.get(kind, {})
    buffer = BytesIO()
    first.save(buffer, kind, save_all=True, append_images=others, **options)
    return buffer.getvalue()


def read(content):
    """The row, and the most bytes that Python held meanwhile."""
    tracemalloc.start()
    try:
        row = image_row(content, TOWER, max_pixels=40 * 40)
        return row, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_image_of_many_frames_is_its_first_and_costs_no_more(kind):
    still, animation = encoded(kind, 1), encoded(kind, FRAMES)
    with Image.open(BytesIO(animation)) as image:
        assert image.n_frames == FRAMES
    image_row(still, TOWER, max_pixels=40 * 40)  # Pillow loads its plugin once
    expected, bytes_of_one = read(still)

    damaged = animation[:-DAMAGED_BYTES] + bytes(DAMAGED_BYTES)
    for content in (animation, damaged):
        row, most_bytes = read(content)
        np.testing.assert_array_equal(row, expected)
        # libwebp is handed a copy of the file.
        assert most_bytes < bytes_of_one + 3 * len(content) / (1 if kind == "WEBP" else 100)
