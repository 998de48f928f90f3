import numpy as np
import pytest
from PIL import Image

from simila.preprocessing.views import seen_as

PIXELS = np.arange(16 * 8 * 3, dtype=np.uint8).reshape(16, 8, 3)


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ("plain", PIXELS),
        ("flip", PIXELS[:, ::-1]),
        ("rotate_90", np.rot90(PIXELS)),
        ("rotate_180", np.rot90(PIXELS, 2)),
        ("rotate_270", np.rot90(PIXELS, 3)),
        ("top_left", PIXELS[:14, :7]),
        ("top_right", PIXELS[:14, 1:]),
        ("bottom_left", PIXELS[2:, :7]),
        ("bottom_right", PIXELS[2:, 1:]),
    ],
)
def test_a_view_is_the_pixels_it_says(view, expected):
    np.testing.assert_array_equal(np.asarray(seen_as(Image.fromarray(PIXELS), view)), expected)


def test_a_single_pixel_has_every_view():
    assert seen_as(Image.new("RGB", (1, 1)), "bottom_right").size == (1, 1)
