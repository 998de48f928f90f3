"""Distinct JPEGs with the content of real photographs: crops of those that ship with scikit-image."""

from io import BytesIO
from pathlib import Path

import numpy as np
import skimage
from PIL import Image, ImageOps

SCENES = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png", "retina.jpg")
WIDTH, HEIGHT = 640, 480
QUALITY = 90
SMALLEST_CROP = 0.5
"""Of the largest crop of this shape that the photograph has."""
SEED = 4


def jpegs(images: int, *, width: int = WIDTH, height: int = HEIGHT) -> list[bytes]:
    """Make `images` different JPEGs of one size."""
    random = np.random.default_rng(SEED)
    scenes = [_scene(name) for name in SCENES]
    return [_jpeg(_crop(scenes[number % len(scenes)], width, height, random)) for number in range(images)]


def _scene(name: str) -> Image.Image:
    with Image.open(Path(skimage.__file__).parent / "data" / name) as image:
        return image.convert("RGB")


def _crop(scene: Image.Image, width: int, height: int, random: np.random.Generator) -> Image.Image:
    scale = random.uniform(SMALLEST_CROP, 1) * min(scene.width / width, scene.height / height)
    left, top = random.uniform(0, scene.width - scale * width), random.uniform(0, scene.height - scale * height)
    box = (left, top, left + scale * width, top + scale * height)
    crop = scene.resize((width, height), Image.Resampling.BICUBIC, box=box)
    return ImageOps.mirror(crop) if random.random() < 1 / 2 else crop


def _jpeg(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
