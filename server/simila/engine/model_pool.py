"""All encoders that are served: loaded side by side, checked against their certificates, found by name."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

from simila.domain.errors import NotReady, SimilaError, UnknownEncoder
from simila.domain.golden import Certificate
from simila.domain.manifest import Manifest, Modality
from simila.domain.model_repository import ModelRepository
from simila.engine.cores import usable_cores
from simila.engine.encoder import Encoder
from simila.engine.encoder_starter import EncoderStarter, EngineOptions
from simila.engine.vector_cache import CacheStatistics, VectorCache

logger = logging.getLogger("simila.engine")


class LoadState(StrEnum):
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class EncoderStatus:
    """What is known of an encoder from outside: its parity checks and devices, tower by tower."""

    manifest: Manifest
    state: LoadState
    error: str | None = None
    certificates: Mapping[Modality, Certificate] | None = None
    devices: Mapping[Modality, str] | None = None


class ModelPool:
    """Owns the encoders and the threads that prepare their inputs."""

    def __init__(self, manifests: Sequence[Manifest], repository: ModelRepository, options: EngineOptions) -> None:
        self._statuses = {manifest.name: EncoderStatus(manifest, LoadState.LOADING) for manifest in manifests}
        self._encoders: dict[str, Encoder] = {}
        self._cache = VectorCache(options.cache_bytes) if options.cache_bytes else None
        self._pool = ThreadPoolExecutor(options.preprocess_threads or usable_cores(), thread_name_prefix="preprocess")
        self._starter = EncoderStarter(repository, options, self._pool, self._cache)

    async def load(self) -> None:
        """Load every encoder; one that fails is logged, keeps its error in `statuses` and leaves the others alone."""
        await asyncio.gather(*(self._load_one(status.manifest) for status in self.statuses()))

    def get(self, name: str) -> Encoder:
        """Find a loaded encoder.

        Raises:
            UnknownEncoder: no encoder of this name is served.
            NotReady: it is loading, or could not be loaded.

        """
        if encoder := self._encoders.get(name):
            return encoder
        raise NotReady(self.status(name).error or f"encoder {name} is loading", param="model")

    def status(self, name: str) -> EncoderStatus:
        """How an encoder stands.

        Raises:
            UnknownEncoder: no encoder of this name is served.

        """
        if status := self._statuses.get(name):
            return status
        raise UnknownEncoder(f"unknown encoder '{name}'; served here: {', '.join(self._statuses)}", param="model")

    def statuses(self) -> list[EncoderStatus]:
        return list(self._statuses.values())

    @property
    def cache_statistics(self) -> CacheStatistics | None:
        """What the vector cache did so far; None where there is no cache."""
        return self._cache.statistics if self._cache else None

    def forget_vectors(self) -> None:
        """Drop what the vector cache holds. Call it in the event loop."""
        if self._cache:
            self._cache.clear()

    def close(self) -> None:
        for encoder in self._encoders.values():
            encoder.close()
        self._pool.shutdown(cancel_futures=True)

    async def _load_one(self, manifest: Manifest) -> None:
        try:
            started = await self._starter.start(manifest)
        except Exception as error:  # noqa: BLE001  whatever is wrong with one encoder, the others serve
            reason = error.message if isinstance(error, SimilaError) else f"{type(error).__name__}: {error}"
            logger.error("encoder %s is not served: %s", manifest.name, reason)
            self._statuses[manifest.name] = EncoderStatus(manifest, LoadState.FAILED, error=reason)
            return
        self._encoders[manifest.name] = started.encoder
        self._statuses[manifest.name] = EncoderStatus(
            manifest, LoadState.READY, certificates=started.certificates, devices=started.devices
        )
