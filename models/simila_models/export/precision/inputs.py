"""What scales are calibrated on and tasks are checked with: inputs that ship with Simila, or the user's own."""

from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from simila.domain.errors import InvalidInput
from simila.domain.manifest import Modality

SHIPPED_TEXTS = Path(__file__).parents[2] / "data" / "calibration_texts.tsv"
ODDITIES = SHIPPED_TEXTS.with_name("calibration_oddities.txt")
CROPS_OF_A_PHOTOGRAPH = 40
CROP_EDGES = range(96, 420)
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".npy"}
FEWEST = 20


@dataclass(frozen=True)
class LabelledInput:
    """A text or an image file, and the class it is of."""

    content: str | bytes
    label: str


@cache
def shipped_inputs(modality: Modality) -> tuple[LabelledInput, ...]:
    """Texts on a dozen topics, written for this; or cuts of the two photographs that come with scikit-learn."""
    return _texts(SHIPPED_TEXTS) if modality is Modality.TEXT else _cuts()


@cache
def odd_inputs(modality: Modality) -> tuple[str, ...]:
    """What is served beside the usual: other scripts, code, emoji. Their activations are the largest, by far."""
    return tuple(ODDITIES.read_text(encoding="utf-8").splitlines()) if modality is Modality.TEXT else ()


def given_inputs(path: Path) -> tuple[LabelledInput, ...]:
    """The user's own: a file with a text a line, `LABEL<tab>TEXT` or `TEXT`; or a folder `LABEL/image.jpg`.

    Raises:
        InvalidInput: there are fewer than `FEWEST`.

    """
    inputs = _texts(path) if path.is_file() else _images(path)
    if len(inputs) < FEWEST:
        raise InvalidInput(f"{path} has {len(inputs)} inputs to calibrate on; at least {FEWEST} are needed")
    return inputs


def _texts(path: Path) -> tuple[LabelledInput, ...]:
    lines = (line for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    return tuple(
        LabelledInput(text or label, label if text else "")
        for label, _, text in (line.partition("\t") for line in lines)
    )


def _images(folder: Path) -> tuple[LabelledInput, ...]:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    return tuple(LabelledInput(path.read_bytes(), path.parent.name) for path in files)


def _cuts() -> tuple[LabelledInput, ...]:
    """Squares of all sizes from all over, some in grey, so that channels are seen apart and together."""
    photographs = load_sample_images()
    random = np.random.default_rng(0)
    cuts = []
    for pixels, name in zip(photographs.images, photographs.filenames, strict=True):
        image = Image.fromarray(pixels)
        for number in range(CROPS_OF_A_PHOTOGRAPH):
            edge = int(random.choice(CROP_EDGES))
            left, upper = (int(random.integers(0, room - edge + 1)) for room in image.size)
            cut = image.crop((left, upper, left + edge, upper + edge))
            file = BytesIO()
            (cut.convert("L") if number % 8 == 0 else cut).save(file, "PNG")
            cuts.append(LabelledInput(file.getvalue(), Path(name).stem))
    return tuple(cuts)
