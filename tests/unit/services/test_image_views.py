import asyncio

import numpy as np
import pytest

from simila.domain.errors import InvalidImage, InvalidInput
from simila.domain.inputs import Embedded, ImageInput, TextInput, VectorInput
from simila.domain.vectors import unit_rows
from simila.services.image_views import check_views, vectors_in_views
from unit.services.word_encoders import DIMENSION, IMAGE, TEXT, direction, manifest_of

AXIS = [2.0] + [0.0] * (DIMENSION - 1)


class Eyes:
    """Each view of an image has a direction of its own; the image `bad` has none."""

    manifest = manifest_of("eyes", image=IMAGE, text=TEXT)

    async def embed(self, inputs):
        names = [one.text if isinstance(one, TextInput) else one.view + one.data.decode() for one in inputs]
        failures = {row: InvalidImage("no image") for row, name in enumerate(names) if name.endswith("bad")}
        return Embedded(np.stack([direction(name) for name in names]), (1,) * len(names), (), failures)


def seen(sources, views):
    return asyncio.run(vectors_in_views(Eyes, DIMENSION, sources, views))


def test_an_image_is_the_mean_of_its_views_and_all_else_is_what_it_was():
    sources = [TextInput("text"), ImageInput(b"cat"), VectorInput(AXIS), ImageInput(b"dog")]
    vectors, tokens = seen(sources, ["plain", "flip"])
    means = [direction(f"plain{name}") + direction(f"flip{name}") for name in ("cat", "dog")]
    cat, dog = unit_rows(np.stack(means))
    np.testing.assert_allclose(vectors, [direction("text"), cat, np.eye(DIMENSION)[0], dog], atol=1e-6)
    assert tokens == 5


def test_without_views_an_image_is_seen_as_it_is():
    vectors, _ = seen([ImageInput(b"cat")], [])
    np.testing.assert_allclose(vectors, [direction("plaincat")], atol=1e-6)


def test_an_image_that_is_none_is_named_by_its_place_among_the_inputs():
    with pytest.raises(InvalidInput, match=r"^input\[1\]: no image"):
        seen([TextInput("text"), ImageInput(b"bad")], ["flip"])


def test_a_view_that_is_named_twice_is_refused():
    with pytest.raises(InvalidInput, match="a view is named twice"):
        check_views(["flip", "plain", "flip"])
