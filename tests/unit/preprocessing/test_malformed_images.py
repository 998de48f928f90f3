"""Damaged images of all formats: an image or an error that says so, and nothing else."""

import numpy as np

from malformed_inputs import FORMATS, IMAGES_A_FORMAT, images
from simila.domain.errors import InvalidImage, LimitExceeded
from simila.domain.manifest import ImageTower
from simila.preprocessing.images import image_row

TOWER = ImageTower(
    size_pixels=16,
    resize_shorter_edge_pixels=16,
    interpolation="bilinear",
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    pooling="average",
)


def test_a_damaged_image_is_a_picture_or_an_error_that_says_so() -> None:
    outcomes = {kind: {"picture": 0, "refused": 0} for kind in FORMATS}
    for kind, content in images():
        try:
            row = image_row(content, TOWER, max_pixels=100_000)
        except (InvalidImage, LimitExceeded):
            outcomes[kind]["refused"] += 1
        else:
            assert (row.shape, row.dtype) == ((3, 16, 16), np.uint8)
            outcomes[kind]["picture"] += 1
    assert {sum(counted.values()) for counted in outcomes.values()} == {IMAGES_A_FORMAT}
    assert all(counted["refused"] >= 20 for counted in outcomes.values()), outcomes
