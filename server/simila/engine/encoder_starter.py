"""From an exported encoder to a running one."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simila.backends import Backend, TowerGraph
from simila.backends.device_choice import CPU_ALONE, Choice, Devices
from simila.backends.least_loaded import LeastLoadedBackend
from simila.backends.supervised import SupervisedBackend
from simila.domain.errors import InferenceServerDown, ParityFailed
from simila.domain.golden import Certificate, read_golden_set
from simila.domain.manifest import Manifest, Modality
from simila.domain.model_repository import ModelRepository, export_command
from simila.engine.cores import usable_cores
from simila.engine.encoder import Encoder, RunningTower
from simila.engine.image_tower import RunningImageTower
from simila.engine.text_tower import RunningTextTower
from simila.engine.tuning import Tuning, accelerator_tuning, overridden, tuning_for
from simila.engine.vector_cache import VectorCache
from simila.engine.waiting_rows import BatchLimits
from simila.preprocessing.texts import TextTokenizer
from simila.storage.freed_memory import lasting_allocations

VERSION_DIGITS = 12


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
    devices: Devices = CPU_ALONE


@dataclass(frozen=True)
class StartedEncoder:
    """An encoder that answers, its parity check and what it runs on, tower by tower.

    `version` is of the graphs' hashes: the same files are the same version, on any server.
    """

    encoder: Encoder
    version: str
    certificates: Mapping[Modality, Certificate]
    devices: Mapping[Modality, str]


@dataclass(frozen=True)
class _StartedTower:
    tower: RunningTower
    backends: Sequence[SupervisedBackend]
    device: str
    onnx_sha256: str


class EncoderStarter:
    """Starts what is exported to `repository`; `pool` prepares inputs, `cache` keeps vectors if there is one."""

    def __init__(
        self, repository: ModelRepository, options: EngineOptions, pool: Executor, cache: VectorCache | None
    ) -> None:
        self._repository = repository
        self._options = options
        self._pool = pool
        self._cache = cache

    async def start(self, manifest: Manifest) -> StartedEncoder:
        """Start every tower and check it on its golden inputs, or leave nothing running.

        Raises:
            NotExported, ModelError: a tower cannot be loaded.
            ParityFailed: a vector is too far from the reference.
            Exception: whatever else a damaged export or a backend comes up with.

        """
        started = await self._start_towers(manifest)
        towers = {modality: one.tower for modality, one in started.items()}
        backends = [backend for one in started.values() for backend in one.backends]
        encoder = Encoder(manifest, towers, self._cache, backends)
        try:
            certificates = await self._certify(encoder)
        except BaseException:
            encoder.close()
            raise
        return StartedEncoder(
            encoder,
            _version(manifest, [one.onnx_sha256 for one in started.values()]),
            certificates,
            {modality: one.device for modality, one in started.items()},
        )

    async def _start_towers(self, manifest: Manifest) -> dict[Modality, _StartedTower]:
        """Start every tower, or none."""
        starting = (asyncio.to_thread(self._start_tower, manifest, modality) for modality in manifest.modalities)
        outcomes = dict(zip(manifest.modalities, await asyncio.gather(*starting, return_exceptions=True), strict=True))
        errors = [outcome for outcome in outcomes.values() if isinstance(outcome, BaseException)]
        started = {key: outcome for key, outcome in outcomes.items() if not isinstance(outcome, BaseException)}
        if errors:
            for one in started.values():
                _close(one)
            raise errors[0]
        return started

    async def _certify(self, encoder: Encoder) -> dict[Modality, Certificate]:
        certificates = {}
        for modality in encoder.manifest.modalities:
            files = self._repository.exported_tower(encoder.manifest, modality)
            golden = await asyncio.to_thread(read_golden_set, files.golden, modality)
            certificate = await encoder.check_parity(golden, files.read_record().parity_floor)
            if not certificate.holds:
                raise ParityFailed(_parity_message(encoder.manifest, modality, certificate))
            certificates[modality] = certificate
        return certificates

    @lasting_allocations()
    def _start_tower(self, manifest: Manifest, modality: Modality) -> _StartedTower:
        files = self._repository.exported_tower(manifest, modality)
        measured = tuning_for(files, modality, usable_cores())
        graph = TowerGraph(manifest, modality, files, files.onnx, measured.runtime)
        choice = self._options.devices.for_tower(graph)
        tuning = self._tuning(measured, modality, choice)
        backends = _start_backends(graph, choice, tuning.threads_per_run)
        backend = backends[0] if len(backends) == 1 else LeastLoadedBackend(backends)
        try:
            tower = self._tower(graph, backend, tuning)
        except BaseException:
            _close_all(backends)
            raise
        return _StartedTower(tower, backends, str(choice), files.read_record().onnx_sha256)

    def _tower(self, graph: TowerGraph, backend: Backend, tuning: Tuning) -> RunningTower:
        manifest = graph.manifest
        if graph.modality is Modality.IMAGE and manifest.image:
            return RunningImageTower(
                manifest,
                manifest.image,
                backend,
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
            backend,
            TextTokenizer(graph.files.tokenizer, manifest.text.context_length_tokens),
            pool=self._pool,
            limits=BatchLimits(tuning.max_batch_items, tuning.max_batch_tokens, tuning.start_tokens),
            max_queue_seconds=self._options.max_queue_seconds,
            workers=tuning.worker_threads,
        )

    def _tuning(self, measured: Tuning, modality: Modality, choice: Choice) -> Tuning:
        """As measured or as fits the device, or as the settings want it."""
        options = self._options
        on_host = choice.runtime.uses_host_cores
        tuning = measured if on_host else accelerator_tuning(modality, len(choice.labels))
        return overridden(
            tuning,
            workers=options.workers,
            threads=options.threads,
            max_batch_items=options.max_batch_items,
            max_batch_tokens=options.max_batch_tokens,
        )


def _start_backends(graph: TowerGraph, choice: Choice, threads: int) -> list[SupervisedBackend]:
    """One backend a device, or none. Of several servers one must be up: it says what the others must give."""
    backends: list[SupervisedBackend] = []

    def start(number: int) -> None:
        where = f" on {choice.word}:{number}" if len(choice.labels) > 1 else ""
        name = f"the {graph.modality} tower of {graph.manifest.name}{where}"
        build = partial(choice.runtime.start, graph, number, threads)
        expected = backends[0].expected if backends else None
        backends.append(SupervisedBackend(name, build, _canary(graph), expected=expected))

    down: dict[int, InferenceServerDown] = {}
    try:
        for number in choice.labels:
            try:
                start(number)
            except InferenceServerDown as error:
                down[number] = error
        if not backends:
            raise next(iter(down.values()))
        for number in down:
            start(number)
    except BaseException:
        _close_all(backends)
        raise
    return backends


def _version(manifest: Manifest, onnx_sha256s: Sequence[str]) -> str:
    return sha256(" ".join([manifest.fingerprint, *onnx_sha256s]).encode()).hexdigest()[:VERSION_DIGITS]


def _close(started: _StartedTower) -> None:
    started.tower.close()
    _close_all(started.backends)


def _close_all(backends: Sequence[SupervisedBackend]) -> None:
    for backend in backends:
        backend.close()


def _canary(graph: TowerGraph) -> Mapping[str, NDArray[Any]]:
    """The smallest batch that a tower can run: a black image, or the first token of the vocabulary twice."""
    manifest = graph.manifest
    if graph.modality is Modality.IMAGE and manifest.image:
        tower = manifest.image
        return {tower.input_name: np.zeros((1, *tower.row_shape), dtype=tower.row_dtype)}
    assert manifest.text
    ids = np.zeros((1, 2), dtype=np.int64)
    return {manifest.text.ids_name: ids, manifest.text.mask_name: np.ones_like(ids)}


def _parity_message(manifest: Manifest, modality: Modality, certificate: Certificate) -> str:
    worst = min(certificate.cosines, key=lambda entry: certificate.cosines[entry])
    return (
        f"the {modality} tower of {manifest.name} differs from the reference: cosine {certificate.lowest_cosine:.6f} on"
        f" '{worst[:40]}', floor {certificate.floor}; run: {export_command(manifest, modality, force=True)}"
    )
