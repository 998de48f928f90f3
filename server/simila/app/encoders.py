"""Settings to encoders: their manifests, what they run on, and how."""

import asyncio
from collections.abc import Sequence

from simila.backends.device_choice import Devices, choose_devices
from simila.backends.registry import runtimes
from simila.backends.triton import TritonOptions
from simila.domain.errors import InvalidConfiguration, UnknownEncoder
from simila.domain.manifest import Manifest
from simila.domain.model_repository import ModelRepository
from simila.engine.encoder_starter import EngineOptions
from simila.engine.model_pool import EncoderStatus, ModelPool
from simila.settings import Settings
from simila_models.catalogue import find_manifest


def manifest_of(name: str, settings: Settings) -> Manifest:
    """The encoder's manifest, in the precision that the settings serve it in.

    Raises:
        UnknownEncoder, InvalidManifest: there is no sound manifest of this name.

    """
    return find_manifest(name, [settings.manifests_dir]).served_in(settings.precisions)


def check_precisions(settings: Settings) -> None:
    """Let no precision be set in vain.

    Raises:
        InvalidConfiguration: one is for what is no encoder, and no tower of one.

    """
    for place in settings.precisions:
        name, _, tower = place.rpartition(".")
        if not _towers(place, settings) and tower not in _towers(name, settings):
            message = f"there is a precision for '{place}', which is no encoder, and no tower of one as NAME.TOWER"
            raise InvalidConfiguration(f"{message} (SIMILA_PRECISIONS)")


def _towers(name: str, settings: Settings) -> tuple[str, ...]:
    try:
        return manifest_of(name, settings).modalities
    except UnknownEncoder:
        return ()


def devices_of(settings: Settings) -> Devices:
    """What encoders would run on.

    Raises:
        DeviceUnavailable: the settings ask for a device that is not there.

    """
    triton = settings.triton
    options = TritonOptions(triton.addresses, triton.tls, triton.shared_memory, triton.timeout_seconds)
    return choose_devices(settings.device, runtimes(options))


def engine_options(settings: Settings) -> EngineOptions:
    """How encoders run.

    Raises:
        DeviceUnavailable: the settings ask for a device that is not there.

    """
    engine = settings.engine
    return EngineOptions(
        threads=engine.threads,
        preprocess_threads=engine.preprocess_threads,
        max_batch_items=1 if engine.precision == "exact" else engine.max_batch_items,
        max_batch_tokens=engine.max_batch_tokens,
        max_image_pixels=settings.limits.max_image_pixels,
        max_queue_seconds=engine.max_queue_seconds,
        workers=engine.workers,
        cache_bytes=engine.cache_bytes,
        devices=devices_of(settings),
    )


def load_encoders(settings: Settings, manifests: Sequence[Manifest]) -> list[EncoderStatus]:
    """Load encoders as a server would, checking their certificates, and say how each stands."""

    async def load() -> list[EncoderStatus]:
        pool = ModelPool(manifests, ModelRepository(settings.models_dir), engine_options(settings))
        await pool.load()
        pool.close()
        return pool.statuses()

    return asyncio.run(load())
