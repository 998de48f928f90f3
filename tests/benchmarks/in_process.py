"""The server's engine and services in this process, without HTTP."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
from class_folders import Photograph, in_chunks

from simila.app import label_scorers
from simila.domain.inputs import TextInput
from simila.domain.manifest import Manifest
from simila.domain.model_repository import ModelRepository
from simila.domain.vectors import Float32
from simila.engine.encoder_starter import EngineOptions
from simila.engine.model_pool import ModelPool
from simila.services.embedding import EmbeddingService, name_failures
from simila.services.zero_shot import ZeroShotService
from simila.settings import Settings
from simila_models.progress import Progress


@dataclass(frozen=True)
class Services:
    pool: ModelPool
    embedding: EmbeddingService
    zero_shot: ZeroShotService


@asynccontextmanager
async def running_services(settings: Settings, manifests: Sequence[Manifest]) -> AsyncIterator[Services]:
    """Load encoders and compose the services as the server does; an encoder that fails says so when it is used."""
    options = EngineOptions(
        threads=settings.engine.threads,
        preprocess_threads=settings.engine.preprocess_threads,
        max_batch_items=settings.engine.max_batch_items,
        max_batch_tokens=settings.engine.max_batch_tokens,
        max_image_pixels=settings.limits.max_image_pixels,
    )
    pool = ModelPool(manifests, ModelRepository(settings.models_dir), options)
    try:
        await pool.load()
        embedding = EmbeddingService(pool)
        zero_shot = ZeroShotService(
            pool, label_scorers(settings, embedding), most_predictions=settings.limits.max_predictions
        )
        yield Services(pool, embedding, zero_shot)
    finally:
        pool.close()


async def photograph_vectors(
    services: Services, encoder_name: str, photographs: Sequence[Photograph], progress: Progress, *, description: str
) -> Float32:
    """Embed photographs: `float32 [n, d], unit length`.

    Raises:
        SimilaError: photographs cannot be embedded; the message names the file of each.

    """
    encoder = services.pool.get(encoder_name)
    chunks = []
    for chunk in in_chunks(photographs, description, progress):
        embedded = await encoder.embed([photograph.read() for photograph in chunk])
        if embedded.failures:
            raise name_failures(embedded.failures, [str(photograph.path) for photograph in chunk])
        chunks.append(embedded.vectors)
    return np.concatenate(chunks)


async def text_vectors(
    services: Services, encoder_name: str, texts: Sequence[str], progress: Progress, *, description: str
) -> Float32:
    """Embed texts: `float32 [n, d], unit length`."""
    chunks = [
        (await services.embedding.embed(encoder_name, [TextInput(text) for text in chunk])).vectors
        for chunk in in_chunks(texts, description, progress)
    ]
    return np.concatenate(chunks)
