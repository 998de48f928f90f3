"""Texts that somebody might search images by, so that an index of images is tuned for texts too."""

import asyncio
import logging
from importlib.resources import files

import numpy as np

from simila.domain.errors import SimilaError
from simila.domain.inputs import TextInput
from simila.domain.manifest import Modality
from simila.domain.vectors import Float32
from simila.engine.model_pool import ModelPool
from simila.storage.collection_file import CollectionSpec

logger = logging.getLogger("simila.services")
PATIENCE_SECONDS = 60.0
THINGS = (files("simila.services") / "everyday_things.txt").read_text(encoding="utf-8").splitlines()


class TextQueries:
    """Vectors of everyday captions in the space of a collection that takes images and texts.

    Text queries lie apart from the images that they find, and a quantised index that was tuned on images alone may lose
    them. Called by the thread that builds indexes; `attach` tells it which encoders there are, and where they run.
    """

    def __init__(self) -> None:
        self._pool: ModelPool | None = None

    def attach(self, pool: ModelPool) -> None:
        """Embed with these encoders, in the running event loop."""
        self._pool, self._loop = pool, asyncio.get_running_loop()

    def __call__(self, spec: CollectionSpec) -> Float32:
        """`float32 [n, d], unit length`; n is 0 for a space without images, or while its encoder is not ready."""
        nothing = np.empty((0, spec.dimension), np.float32)
        if self._pool is None:
            return nothing
        try:
            encoder = self._pool.get(spec.encoder)
            if set(encoder.manifest.modalities) != set(Modality) or encoder.manifest.fingerprint != spec.fingerprint:
                return nothing
            embedding = encoder.embed([TextInput(f"a photo of a {thing}") for thing in THINGS])
            return asyncio.run_coroutine_threadsafe(embedding, self._loop).result(PATIENCE_SECONDS).vectors
        except (SimilaError, TimeoutError, RuntimeError) as error:  # the server is starting, busy or stopping
            logger.warning("collection %s: its index is tuned without text queries: %s", spec.name, error)
            return nothing
