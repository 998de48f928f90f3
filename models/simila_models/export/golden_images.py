"""Images that serving is known to get wrong, drawn here: odd shapes, rotations, colour modes, depths and sizes."""

from io import BytesIO
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageDraw, ImageFilter

_TURNED_RIGHT, _UPSIDE_DOWN = 6, 3  # values of EXIF's orientation tag


def golden_images() -> dict[str, bytes]:
    """Draw the golden images, by file name."""
    palette = _scene(5, 400, 300).quantize(8)
    commonest_colour = int(np.argmax(palette.histogram()))
    mask = _scene(6, 400, 300).convert("L")
    return {
        "landscape.jpg": _encoded(_scene(0, 640, 427), "JPEG", quality=90),
        "tall.jpg": _encoded(_scene(1, 200, 900), "JPEG", quality=90),
        "rotated-6.jpg": _encoded(_scene(2, 500, 300), "JPEG", exif=_orientation(_TURNED_RIGHT)),
        "rotated-3.jpg": _encoded(_scene(3, 480, 360), "JPEG", exif=_orientation(_UPSIDE_DOWN)),
        "cmyk.jpg": _encoded(_scene(4, 420, 300).convert("CMYK"), "JPEG", quality=90),
        "palette-transparent.png": _encoded(palette, "PNG", transparency=commonest_colour),
        "rgba.png": _encoded(Image.merge("RGBA", (*_scene(7, 400, 300).split(), mask)), "PNG"),
        "grey-alpha.png": _encoded(
            Image.merge("LA", (_scene(8, 300, 400).convert("L"), mask.rotate(90, expand=True))), "PNG"
        ),
        "grey-16-bit.png": _encoded(_sixteen_bit(_scene(9, 400, 300)), "PNG"),
        "grey.jpg": _encoded(_scene(10, 333, 251).convert("L"), "JPEG"),
        "one-pixel.png": _encoded(Image.new("RGB", (1, 1), (200, 30, 60)), "PNG"),
        "one-pixel-high.png": _encoded(_scene(11, 300, 200).crop((0, 120, 300, 121)), "PNG"),
        "large.jpg": _encoded(_scene(12, 3000, 2000), "JPEG", quality=80),
    }


def _scene(seed: int, width: int, height: int) -> Image.Image:
    """Draw a sky, a ground, some solids and a texture: edges and gradients at several scales, as in a photograph."""
    random = np.random.default_rng(seed)
    top, bottom = random.uniform(60, 255, (2, 3))
    slope = np.linspace(0, 1, height)[:, None, None]
    canvas = np.broadcast_to(top * (1 - slope) + bottom * slope, (height, width, 3))
    image = Image.fromarray(canvas.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, int(height * random.uniform(0.5, 0.8)), width, height), fill=_colour(random))
    for number in range(int(random.integers(4, 9))):
        x, y = random.uniform(0, width), random.uniform(0.2 * height, height)
        half = random.uniform(0.05, 0.2) * min(width, height)
        box = (x - half, y - half, x + half, y + half)
        (draw.ellipse if number % 2 else draw.rectangle)(box, fill=_colour(random), outline=_colour(random), width=3)
    for x in np.arange(0, width, random.uniform(0.03, 0.08) * width):
        draw.line((x, height, x + 0.1 * width, 0.85 * height), fill=_colour(random), width=max(1, width // 150))
    noise = random.normal(0, 8, (height, width, 1))
    return Image.fromarray(
        np.clip(np.asarray(image.filter(ImageFilter.GaussianBlur(1))) + noise, 0, 255).astype(np.uint8)
    )


def _colour(random: np.random.Generator) -> tuple[int, ...]:
    return tuple(random.integers(0, 256, 3).tolist())


def _sixteen_bit(image: Image.Image) -> Image.Image:
    grey = np.asarray(image.convert("L")).astype(np.uint16)
    return Image.fromarray(grey * 256 + grey[::-1])  # a low byte that is not zero, so that rounding shows


def _orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = value
    return exif


def _encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
