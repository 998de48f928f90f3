"""Encoders without weights: each text and image has a random direction of its own; what was embedded is kept."""

import asyncio
import zlib

import numpy as np

from simila.domain.errors import InvalidImage, InvalidInput
from simila.domain.inputs import Embedded, ImageInput
from simila.domain.manifest import Manifest, Modality
from simila.domain.model_repository import ModelRepository
from simila.domain.vectors import unit_rows
from simila.engine.encoder import Encoder
from simila.engine.encoder_starter import EngineOptions
from simila.engine.model_pool import EncoderStatus, LoadState, ModelPool

DIMENSION = 8
IMAGE = {
    "size_pixels": 8,
    "resize_shorter_edge_pixels": 8,
    "interpolation": "bicubic",
    "mean": (0.5, 0.5, 0.5),
    "std": (0.5, 0.5, 0.5),
    "pooling": "average",
}
TEXT = {"context_length_tokens": 16, "pooling": "mean"}
ZERO_SHOT = {"scale": 10.0, "templates": ("{}", "a photo of a {}")}


def direction(entry):
    """The vector of a text or of an image's bytes: `float32 [d], unit length`."""
    key = zlib.crc32(entry.encode() if isinstance(entry, str) else entry)
    return unit_rows(np.random.default_rng(key).normal(size=(1, DIMENSION)).astype(np.float32))[0]


class Tower:
    """Embeds everything but what is in `bad`; a text has as many tokens as characters."""

    def __init__(self):
        self.seen = []
        self.bad = set()
        self.hangs = False
        self.idle_seconds = float("inf")

    async def embed(self, inputs, *, truncate):
        if self.hangs:
            await asyncio.Event().wait()
        entries = [entry.data if isinstance(entry, ImageInput) else entry.text for entry in inputs]
        self.seen += entries
        kind = InvalidImage if isinstance(inputs[0], ImageInput) else InvalidInput
        failures = {p: kind(f"cannot embed {entry!r}") for p, entry in enumerate(entries) if entry in self.bad}
        vectors = np.stack([direction(entry) for entry in entries])
        vectors[list(failures)] = 0
        tokens = tuple(0 if isinstance(entry, bytes) else len(entry) for entry in entries)
        return Embedded(vectors, tokens, (not truncate,) * len(entries), failures)

    def seconds_since_batch(self):
        return self.idle_seconds

    def close(self):
        pass


def manifest_of(name, **tables):
    weights = {"role": "weights", "source": "file:.", "path": name, "sha256": f"{zlib.crc32(name.encode()):064x}"}
    table = {"name": name, "description": "", "family": "none", "licence": "MIT", "dimension": DIMENSION}
    return Manifest.model_validate({**table, "files": [weights], **tables})


def pool_of(folder, *encoders):
    """A pool that serves these encoders."""
    options = EngineOptions(threads=1, preprocess_threads=1, max_batch_items=1, max_batch_tokens=1, max_image_pixels=1)
    pool = ModelPool([encoder.manifest for encoder in encoders], ModelRepository(folder), options)
    for encoder in encoders:
        pool._encoders[encoder.manifest.name] = encoder
        pool._statuses[encoder.manifest.name] = EncoderStatus(encoder.manifest, LoadState.READY)
    return pool


def joint_encoder(tower):
    manifest = manifest_of("words", image=IMAGE, text=TEXT, zero_shot=ZERO_SHOT)
    return Encoder(manifest, {Modality.TEXT: tower, Modality.IMAGE: tower})


def image_encoder(tower):
    return Encoder(manifest_of("pictures", image=IMAGE), {Modality.IMAGE: tower})
