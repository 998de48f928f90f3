"""One picture seen several ways, before it is scaled."""

from collections.abc import Mapping

from PIL import Image

from simila.domain.inputs import View

# Of each edge: a corner crop keeps most of what is in the middle.
CROPPED_SHARE = 7 / 8

_TRANSPOSITIONS: Mapping[View, Image.Transpose] = {
    "flip": Image.Transpose.FLIP_LEFT_RIGHT,
    "rotate_90": Image.Transpose.ROTATE_90,
    "rotate_180": Image.Transpose.ROTATE_180,
    "rotate_270": Image.Transpose.ROTATE_270,
}


def seen_as(image: Image.Image, view: View) -> Image.Image:
    """The picture in a view; `plain` is the picture itself."""
    if view == "plain":
        return image
    if view in _TRANSPOSITIONS:
        return image.transpose(_TRANSPOSITIONS[view])
    width, height = (max(1, round(CROPPED_SHARE * edge)) for edge in image.size)
    left = image.width - width if view.endswith("right") else 0
    top = image.height - height if view.startswith("bottom") else 0
    return image.crop((left, top, left + width, top + height))
