"""All encoders that are served: loaded side by side, checked against their certificates, found by name."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from simila.backends.onnx_runtime import shrink_arena
from simila.domain.errors import (
    Conflict,
    EncoderUnloaded,
    InferenceServerDown,
    LoadFailed,
    NotReady,
    Overloaded,
    SimilaError,
    UnknownEncoder,
)
from simila.domain.golden import Certificate
from simila.domain.manifest import Manifest, Modality
from simila.domain.model_repository import ModelRepository
from simila.engine.cores import usable_cores
from simila.engine.encoder import Encoder
from simila.engine.encoder_starter import EncoderStarter, EngineOptions
from simila.engine.tuning import preprocess_threads_for
from simila.engine.vector_cache import CacheStatistics, VectorCache
from simila.storage.freed_memory import give_back_freed_memory

logger = logging.getLogger("simila.engine")

SERVER_RETRY_SECONDS = 1.0


class LoadState(StrEnum):
    LOADING = "loading"
    READY = "ready"
    RELOADING = "reloading"  # it answers, and another version of it is being loaded
    FAILED = "failed"
    UNLOADING = "unloading"  # it answers those who asked before
    UNLOADED = "unloaded"


@dataclass(frozen=True)
class EncoderStatus:
    """What is known of an encoder from outside; `version` names the files that serve, see `StartedEncoder`.

    Parity checks and devices are by tower. `error` is why it does not serve, or why its latest version does not.
    """

    manifest: Manifest
    state: LoadState
    error: str | None = None
    certificates: Mapping[Modality, Certificate] | None = None
    devices: Mapping[Modality, str] | None = None
    version: str | None = None
    is_expected: bool = True
    """Whether the server is not ready without it. What is loaded on request is expected once it has been served."""


class ModelPool:
    """Owns the encoders and the threads that prepare their inputs.

    An encoder that `get` has given to a task works until that task is done, also when it was replaced or unloaded
    meanwhile: read-copy-update, with tasks for readers.
    """

    def __init__(self, manifests: Sequence[Manifest], repository: ModelRepository, options: EngineOptions) -> None:
        self._statuses = {manifest.name: EncoderStatus(manifest, LoadState.LOADING) for manifest in manifests}
        self._encoders: dict[str, Encoder] = {}
        self._aliases: Mapping[str, str] = {}
        self._changes: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._retired: set[Encoder] = set()
        self._draining: set[asyncio.Task[None]] = set()
        self._cache = VectorCache(options.cache_bytes) if options.cache_bytes else None
        towers = [
            repository.tower(manifest.name, modality, manifest.precision(modality))
            for manifest in manifests
            for modality in manifest.modalities
        ]
        threads = options.preprocess_threads or preprocess_threads_for(towers, usable_cores())
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="preprocess")
        self._starter = EncoderStarter(repository, options, self._pool, self._cache)

    async def load(self, *, wait_for_servers: bool = False) -> None:
        """Load every encoder; one that fails is logged, keeps its error in `statuses` and leaves the others alone.

        To `wait_for_servers` is to try again as long as the inference server of an encoder is down or too busy.
        """
        await asyncio.gather(*(self._load_or_log(status.manifest, wait_for_servers) for status in self.statuses()))

    async def load_version(self, manifest: Manifest) -> EncoderStatus:
        """Load what is exported of an encoder now, check it, and let it take over from the version that serves.

        The switch is one assignment. The old version is drained and freed in the background.

        Raises:
            LoadFailed: it cannot be loaded, or its certificate does not hold; the version that served goes on.

        """
        name = manifest.name
        async with self._changes[name]:
            replaced, before = self._encoders.get(name), self._statuses.get(name)
            is_expected = before is not None and before.is_expected
            self._statuses[name] = EncoderStatus(manifest, LoadState.LOADING, is_expected=is_expected)
            if replaced and before:
                self._statuses[name] = replace(before, state=LoadState.RELOADING)
            try:
                started = await self._starter.start(manifest)
            except Exception as error:  # whatever is wrong with one encoder, the others serve
                raise self._failed(manifest, before, error) from error
            self._encoders[name] = started.encoder
            self._statuses[name] = status = EncoderStatus(
                manifest,
                LoadState.READY,
                certificates=started.certificates,
                devices=started.devices,
                version=started.version,
            )
            if replaced:
                self.forget_vectors()  # the new version's may differ in the last digits
                self._retire(replaced)
        return status

    async def unload(self, name: str) -> EncoderStatus:
        """Take an encoder out of service: new requests are refused at once, and when the others are done it is freed.

        Raises:
            UnknownEncoder: no encoder of this name is served.
            Conflict: an alias points at it.

        """
        name = self.status(name).manifest.name
        async with self._changes[name]:
            status = self.status(name)
            if names := [alias for alias, encoder in self._aliases.items() if encoder == name]:
                raise Conflict(f"encoder {name} is what the alias {names[0]} means; point that elsewhere first")
            if name in self._encoders:
                self._statuses[name] = EncoderStatus(status.manifest, LoadState.UNLOADING, is_expected=False)
                await self._retire(self._encoders.pop(name))
            self._statuses[name] = EncoderStatus(status.manifest, LoadState.UNLOADED, is_expected=False)
        return self._statuses[name]

    def get(self, name: str) -> Encoder:
        """Find a loaded encoder by its name or an alias, for the task that asks.

        Raises:
            UnknownEncoder: no encoder of this name is served.
            NotReady: it is loading, could not be loaded, or was unloaded.

        """
        if encoder := self._encoders.get(self._aliases.get(name, name)):
            encoder.hold(_current_task())
            return encoder
        status = self.status(name)
        if status.state in (LoadState.UNLOADING, LoadState.UNLOADED):
            message = f"encoder {status.manifest.name} was unloaded; POST /v1/models/{status.manifest.name}/load"
            raise EncoderUnloaded(message, param="model")
        raise NotReady(status.error or f"encoder {status.manifest.name} is loading", param="model")

    def status(self, name: str) -> EncoderStatus:
        """How an encoder stands, by its name or an alias.

        Raises:
            UnknownEncoder: no encoder of this name is served.

        """
        if status := self._statuses.get(self._aliases.get(name, name)):
            return status
        served = ", ".join([*self._statuses, *self._aliases])
        raise UnknownEncoder(f"unknown encoder '{name}'; served here: {served}", param="model")

    def statuses(self) -> list[EncoderStatus]:
        return list(self._statuses.values())

    @property
    def aliases(self) -> Mapping[str, str]:
        """Other names, and the encoder that each means now."""
        return self._aliases

    def set_aliases(self, aliases: Mapping[str, str]) -> None:
        """Replace all aliases, for requests that come from now on."""
        self._aliases = dict(aliases)

    @property
    def cache_statistics(self) -> CacheStatistics | None:
        """What the vector cache did so far; None where there is no cache."""
        return self._cache.statistics if self._cache else None

    def forget_vectors(self) -> None:
        """Drop what the vector cache holds. Call it in the event loop."""
        if self._cache:
            self._cache.clear()

    def close(self) -> None:
        for task in self._draining:
            task.cancel()
        for encoder in (*self._encoders.values(), *self._retired):
            encoder.close()
        self._pool.shutdown(cancel_futures=True)

    async def _load_or_log(self, manifest: Manifest, wait_for_server: bool) -> None:
        name, waiting = manifest.name, None
        while self._statuses[name] is waiting or waiting is None:  # else somebody has unloaded or loaded it
            try:
                await self.load_version(manifest)
                return
            except LoadFailed as error:
                if waiting is None or waiting.error != error.message:
                    logger.error("encoder %s is not served: %s", name, error.message)
                if not (wait_for_server and isinstance(error.__cause__, InferenceServerDown | Overloaded)):
                    return
                waiting = self._statuses[name] = EncoderStatus(manifest, LoadState.LOADING, error=error.message)
            await asyncio.sleep(SERVER_RETRY_SECONDS)

    def _failed(self, manifest: Manifest, before: EncoderStatus | None, error: Exception) -> LoadFailed:
        """Note that a load has failed: what served before it goes on, and what nobody waits for is as it was."""
        name = manifest.name
        reason = error.message if isinstance(error, SimilaError) else f"{type(error).__name__}: {error}"
        if name in self._encoders:
            reason = f"a new version is not served, the old one goes on: {reason}"
        if before is None:
            del self._statuses[name]
        elif name in self._encoders or not before.is_expected:
            self._statuses[name] = replace(before, error=reason)
        else:
            self._statuses[name] = EncoderStatus(manifest, LoadState.FAILED, error=reason)
        return LoadFailed(reason, param="model")

    def _retire(self, encoder: Encoder) -> "asyncio.Task[None]":
        self._retired.add(encoder)
        task = asyncio.create_task(self._drain(encoder))
        self._draining.add(task)  # the loop itself would forget it
        task.add_done_callback(self._draining.discard)
        return task

    async def _drain(self, encoder: Encoder) -> None:
        await encoder.released()
        self._retired.discard(encoder)
        last_reference = [encoder]
        del encoder
        await asyncio.to_thread(_close_and_free, last_reference)


def _close_and_free(last_reference: list[Encoder]) -> None:
    """Close an encoder, and give its memory back to the system: ONNX Runtime and the allocator would keep it."""
    last_reference.pop().close()
    shrink_arena()
    give_back_freed_memory()


def _current_task() -> "asyncio.Task[Any] | None":
    try:
        return asyncio.current_task()
    except RuntimeError:  # a thread without an event loop
        return None
