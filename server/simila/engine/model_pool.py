"""All encoders that are served: loaded side by side, checked against their certificates, found by name."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simila.backends.onnx_runtime import OnnxRuntimeBackend
from simila.backends.supervised import SupervisedBackend
from simila.domain.errors import NotReady, ParityFailed, SimilaError, UnknownEncoder
from simila.domain.golden import Certificate, read_golden_set
from simila.domain.manifest import Manifest, Modality
from simila.domain.model_repository import ModelRepository, TowerFiles
from simila.engine.cores import usable_cores
from simila.engine.encoder import Encoder, RunningTower
from simila.engine.image_tower import RunningImageTower
from simila.engine.text_tower import RunningTextTower
from simila.engine.tuning import Tuning, overridden, tuning_for
from simila.engine.vector_cache import CacheStatistics, VectorCache
from simila.engine.waiting_rows import BatchLimits
from simila.preprocessing.texts import TextTokenizer

logger = logging.getLogger("simila.engine")


class LoadState(StrEnum):
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class EngineOptions:
    """How encoders are run. 0 leaves threads, workers and limits of batches as tuned; 0 bytes of cache are none."""

    threads: int = 0
    preprocess_threads: int = 0
    max_batch_items: int = 0
    max_batch_tokens: int = 0
    max_image_pixels: int = 50_000_000
    max_queue_seconds: float = 5.0
    workers: int = 0
    cache_bytes: int = 0


@dataclass(frozen=True)
class EncoderStatus:
    """What is known of an encoder from outside; `certificates` holds one parity check a tower."""

    manifest: Manifest
    state: LoadState
    error: str | None = None
    certificates: Mapping[Modality, Certificate] | None = None


class ModelPool:
    """Owns the encoders and the threads that prepare their inputs."""

    def __init__(self, manifests: Sequence[Manifest], repository: ModelRepository, options: EngineOptions) -> None:
        self._repository = repository
        self._options = options
        self._statuses = {manifest.name: EncoderStatus(manifest, LoadState.LOADING) for manifest in manifests}
        self._encoders: dict[str, Encoder] = {}
        self._backends: dict[str, list[SupervisedBackend]] = {}
        self._cache = VectorCache(options.cache_bytes) if options.cache_bytes else None
        self._pool = ThreadPoolExecutor(options.preprocess_threads or usable_cores(), thread_name_prefix="preprocess")

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
            self._stop_restarts(encoder.manifest.name)
        self._pool.shutdown(cancel_futures=True)

    async def _load_one(self, manifest: Manifest) -> None:
        try:
            with ExitStack() as undo:
                undo.callback(self._stop_restarts, manifest.name)
                encoder = await self._start(manifest)
                undo.callback(encoder.close)
                certificates = await self._certify(encoder)
                undo.pop_all()
        except Exception as error:  # noqa: BLE001  whatever is wrong with one encoder, the others serve
            reason = error.message if isinstance(error, SimilaError) else f"{type(error).__name__}: {error}"
            logger.error("encoder %s is not served: %s", manifest.name, reason)
            self._statuses[manifest.name] = EncoderStatus(manifest, LoadState.FAILED, error=reason)
            return
        self._encoders[manifest.name] = encoder
        self._statuses[manifest.name] = EncoderStatus(manifest, LoadState.READY, certificates=certificates)

    async def _start(self, manifest: Manifest) -> Encoder:
        """Start every tower, or none."""
        starting = (asyncio.to_thread(self._start_tower, manifest, modality) for modality in manifest.modalities)
        outcomes = dict(zip(manifest.modalities, await asyncio.gather(*starting, return_exceptions=True), strict=True))
        errors = [outcome for outcome in outcomes.values() if isinstance(outcome, BaseException)]
        towers = {key: outcome for key, outcome in outcomes.items() if not isinstance(outcome, BaseException)}
        encoder = Encoder(manifest, towers, self._cache)
        if errors:
            encoder.close()
            raise errors[0]
        return encoder

    async def _certify(self, encoder: Encoder) -> dict[Modality, Certificate]:
        """Check every tower on its golden inputs.

        Raises:
            ParityFailed: a vector is too far from the reference.

        """
        certificates = {}
        for modality in encoder.manifest.modalities:
            files = self._repository.tower(encoder.manifest.name, modality)
            golden = await asyncio.to_thread(read_golden_set, files.golden, modality)
            certificate = await encoder.check_parity(golden)
            if not certificate.holds:
                raise ParityFailed(_parity_message(encoder.manifest.name, modality, certificate))
            certificates[modality] = certificate
        return certificates

    def _start_tower(self, manifest: Manifest, modality: Modality) -> RunningTower:
        files = self._repository.exported_tower(manifest, modality)
        tuning = self._tuning(files, modality)
        if modality is Modality.IMAGE and manifest.image:
            return RunningImageTower(
                manifest,
                manifest.image,
                self._start_backend(manifest, modality, files, manifest.image.output_name, tuning.threads_per_run),
                pool=self._pool,
                max_image_pixels=self._options.max_image_pixels,
                max_batch_items=tuning.max_batch_items,
                max_queue_seconds=self._options.max_queue_seconds,
                workers=tuning.worker_threads,
            )
        assert manifest.text
        return RunningTextTower(
            manifest,
            manifest.text,
            self._start_backend(manifest, modality, files, manifest.text.output_name, tuning.threads_per_run),
            TextTokenizer(files.tokenizer, manifest.text.context_length_tokens),
            pool=self._pool,
            limits=BatchLimits(tuning.max_batch_items, tuning.max_batch_tokens),
            max_queue_seconds=self._options.max_queue_seconds,
            workers=tuning.worker_threads,
        )

    def _tuning(self, files: TowerFiles, modality: Modality) -> Tuning:
        """As measured, or as the settings want it."""
        options = self._options
        return overridden(
            tuning_for(files, modality, usable_cores()),
            workers=options.workers,
            threads=options.threads,
            max_batch_items=options.max_batch_items,
            max_batch_tokens=options.max_batch_tokens,
        )

    def _start_backend(
        self, manifest: Manifest, modality: Modality, files: TowerFiles, output_name: str, threads: int
    ) -> SupervisedBackend:
        build = partial(OnnxRuntimeBackend, files.onnx, output_name, threads)
        backend = SupervisedBackend(f"the {modality} tower of {manifest.name}", build, _canary(manifest, modality))
        self._backends.setdefault(manifest.name, []).append(backend)
        return backend

    def _stop_restarts(self, name: str) -> None:
        for backend in self._backends.pop(name, []):
            backend.close()


def _canary(manifest: Manifest, modality: Modality) -> Mapping[str, NDArray[Any]]:
    """The smallest batch that a tower can run: a black image, or the first token of the vocabulary twice."""
    if modality is Modality.IMAGE and manifest.image:
        size = manifest.image.size_pixels
        return {manifest.image.input_name: np.zeros((1, 3, size, size), dtype=np.uint8)}
    assert manifest.text
    ids = np.zeros((1, 2), dtype=np.int64)
    return {manifest.text.ids_name: ids, manifest.text.mask_name: np.ones_like(ids)}


def _parity_message(name: str, modality: Modality, certificate: Certificate) -> str:
    worst = min(certificate.cosines, key=lambda entry: certificate.cosines[entry])
    return (
        f"the {modality} tower of {name} differs from the reference: cosine {certificate.lowest_cosine:.6f} on"
        f" '{worst[:40]}', floor {certificate.floor}; run: simila models export --force {name}"
    )
