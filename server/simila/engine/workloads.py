"""Rows to measure with, such as a server sees them."""

import io
from collections.abc import Mapping, Sequence
from math import exp, log
from statistics import NormalDist
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simila.domain.manifest import ImageTower, Manifest, Modality, TextTower
from simila.domain.model_repository import TowerFiles
from simila.engine.tuning import batch_limits
from simila.preprocessing.images import image_row
from simila.preprocessing.texts import TextRow, TextTokenizer

# Lengths of texts are about log-normal: here half have up to 20 tokens, one in ten more than 55.
LENGTHS = NormalDist(log(20), 0.8)
FEWEST_TOKENS = 3
# As many as wait in a busy server, so that batches are as much alike as there; of these batches a few are taken.
WAITING_TEXTS = 256
FEWEST_BATCHES = 4
STRIDE = 101  # prime to WAITING_TEXTS, so that lengths come mixed
CAMERA_PIXELS = (640, 480)  # width, height
SENTENCE = "The quick brown fox jumps over the lazy dog, and nobody knows why it would. "

Batch = Mapping[str, NDArray[Any]]


class Workload(Protocol):
    """Rows of one tower."""

    output_name: str

    def batches(self, rows: int, budget: int) -> list[Batch]:
        """About so many rows, in full batches of at most `budget` padded tokens, or images; always the same."""
        ...

    def prepare(self, number: int) -> None:
        """Make one input, such as clients send, into a row."""
        ...


def workload_of(manifest: Manifest, modality: Modality, files: TowerFiles) -> Workload:
    """Rows for a tower.

    Raises:
        ModelError: the tokenizer cannot be read.

    """
    if modality is Modality.IMAGE and manifest.image:
        return Images(manifest.image)
    assert manifest.text
    return Texts(manifest.text, TextTokenizer(files.tokenizer, manifest.text.context_length_tokens))


class Texts:
    """Texts of all lengths up to the context's, like lengths together."""

    def __init__(self, tower: TextTower, tokenizer: TextTokenizer) -> None:
        self._tower = tower
        self._tokenizer = tokenizer
        self.output_name = tower.output_name
        long_text = SENTENCE * tower.context_length_tokens
        words = long_text.split()
        self._texts = [" ".join(words[:length]) for length in text_lengths(WAITING_TEXTS)]
        (longest,) = tokenizer.rows_of_texts([long_text])
        assert isinstance(longest, TextRow)
        self._ids = np.array(longest.ids, dtype=np.int64)

    def batches(self, rows: int, budget: int) -> list[Batch]:
        lengths = [min(length, len(self._ids)) for length in text_lengths(WAITING_TEXTS)]
        parts = cut(lengths, *batch_limits(Modality.TEXT, budget))
        wanted = min(len(parts), max(FEWEST_BATCHES, round(len(parts) * rows / WAITING_TEXTS)))
        return [self._padded(parts[(2 * number + 1) * len(parts) // (2 * wanted)]) for number in range(wanted)]

    def prepare(self, number: int) -> None:
        self._tokenizer.rows_of_texts([self._texts[number * STRIDE % WAITING_TEXTS]])

    def _padded(self, lengths: Sequence[int]) -> Batch:
        longest = max(lengths)
        mask = np.arange(longest) < np.array(lengths)[:, None]
        return {self._tower.ids_name: self._ids[:longest] * mask, self._tower.mask_name: mask.astype(np.int64)}


class Images:
    """Noise: the time of a convolution does not depend on what is in the picture. A decoder's does a little."""

    def __init__(self, tower: ImageTower) -> None:
        self._tower = tower
        self.output_name = tower.output_name
        self._file = _photograph() if tower.is_rgb else _bands(tower)

    def batches(self, rows: int, budget: int) -> list[Batch]:
        shape, dtype = self._tower.row_shape, np.dtype(self._tower.row_dtype)
        noise = np.random.default_rng(0)
        return [
            {self._tower.input_name: noise.integers(0, 2**self._tower.bits, (len(part), *shape), dtype=dtype)}
            for part in cut([1] * max(rows, budget), *batch_limits(Modality.IMAGE, budget))
        ]

    def prepare(self, _number: int) -> None:
        width, height = CAMERA_PIXELS
        image_row(self._file, self._tower, max_pixels=width * height)


def _photograph() -> bytes:
    """A JPEG with as much detail as a photograph of its size."""
    width, height = CAMERA_PIXELS
    coarse = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize(CAMERA_PIXELS, Image.Resampling.BICUBIC).save(file, "JPEG")
    return file.getvalue()


def _bands(tower: ImageTower) -> bytes:
    width, height = CAMERA_PIXELS
    file = io.BytesIO()
    np.save(file, np.zeros((tower.channels, height, width), dtype=tower.row_dtype))
    return file.getvalue()


def text_lengths(rows: int) -> list[int]:
    """Evenly spaced quantiles of the lengths of texts, in tokens, ascending."""
    quantiles = ((row + 0.5) / rows for row in range(rows))
    return [max(FEWEST_TOKENS, round(exp(LENGTHS.inv_cdf(quantile)))) for quantile in quantiles]


def cut(lengths: Sequence[int], max_items: int, max_padded_length: int) -> list[list[int]]:
    """Ascending lengths, as many together as the limits of a batch allow; one that is over them stands alone."""
    parts: list[list[int]] = []
    for length in lengths:
        part = parts[-1] if parts else []
        fits = len(part) < max_items and length * (len(part) + 1) <= max_padded_length
        if part and fits:
            part.append(length)
        else:
            parts.append([length])
    return parts
