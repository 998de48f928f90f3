"""Settings to a server: what it keeps, its encoders and services, over HTTP and gRPC."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

from fastapi import FastAPI
from starlette.types import ASGIApp
from threadpoolctl import ThreadpoolController

from simila.api.application import create_api
from simila.api.doorkeeper import Doorkeeper
from simila.api.grpc_transport import GrpcTransport
from simila.api.middleware import LOOPBACK_HOSTS
from simila.api.tracing import open_telemetry
from simila.app.announcement import announce
from simila.app.encoders import check_precisions, devices_of, engine_options, manifest_of
from simila.app.services import compose_services
from simila.app.stores import Stores
from simila.domain.errors import InvalidConfiguration, SimilaError
from simila.domain.model_repository import ModelRepository
from simila.engine.model_pool import LoadState, ModelPool
from simila.services.drain import Drain
from simila.services.text_queries import TextQueries
from simila.settings import Settings
from simila.telemetry.logs import RequestLog

logger = logging.getLogger("simila.app")


def create_app(settings: Settings, drain: Drain | None = None) -> ASGIApp:
    """Compose a server. Encoders load in the background: until then they answer 503 and `/readyz` says so.

    `drain` is begun by whoever is to stop the server.

    Raises:
        PackageMissing: the settings ask for gRPC, and its packages are not installed.
        UnknownEncoder, InvalidManifest: the settings name an encoder that has no sound manifest.
        DataFolderError: the folder of collections or of classifiers, the aliases or the keys cannot be made or read.
        DeviceUnavailable: the settings ask for a device that is not there.
        InvalidConfiguration: several of these.

    """
    _give_blas_one_thread()
    drain = drain or Drain()
    # Here, not in the lifespan: uvicorn would log an error there as a traceback, and keep it.
    if problems := problems_of(settings):
        raise problems[0] if len(problems) == 1 else InvalidConfiguration("; ".join(map(str, problems)))
    grpc = _grpc(settings)
    tracing = open_telemetry(settings.otlp_endpoint) if settings.otlp_endpoint else None
    manifests = [manifest_of(name, settings) for name in settings.encoders]
    engine = engine_options(settings)
    text_queries = TextQueries()
    stores = Stores.open(settings, text_queries)
    door, log = Doorkeeper(stores.keys), RequestLog(settings.log_requests)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        pool = ModelPool(manifests, ModelRepository(settings.models_dir), engine)
        app.state.services = services = compose_services(settings, pool, stores, drain)
        text_queries.attach(pool)
        async with (
            _loading(pool, settings),
            grpc.serving(services, door=door, drain=drain, log=log, trail=stores.trail, tracing=tracing),
        ):
            yield
        await services.close()
        await stores.close()
        if tracing:
            await asyncio.to_thread(tracing.close)

    logger.info("device %s: %s", settings.device, engine.devices)
    return create_api(
        lifespan,
        max_body_bytes=settings.limits.max_body_bytes,
        max_decompressed_bytes=settings.limits.max_decompressed_bytes,
        max_backup_bytes=settings.limits.max_backup_bytes,
        max_json_depth=settings.limits.max_json_depth,
        request_timeout_seconds=settings.request_timeout_seconds,
        door=door,
        drain=drain,
        tracing=tracing,
        log=log,
        trail=stores.trail,
        cors_origins=settings.cors_origins,
        is_tls=settings.tls_certificate is not None,
        hosts=(*LOOPBACK_HOSTS, *settings.allowed_hosts) if settings.is_loopback else None,
    )


def problems_of(settings: Settings) -> list[SimilaError]:
    """Everything that the settings ask for and that is not there, so that nobody mends one to meet the next."""
    errors = []
    encoders = [partial(manifest_of, name) for name in settings.encoders]
    checks: list[Callable[[Settings], object]] = [_grpc, *encoders, check_precisions, devices_of]
    for check in checks:
        try:
            check(settings)
        except SimilaError as error:
            errors.append(error)
    return errors


def _give_blas_one_thread() -> None:
    """Let numpy's products run in the thread that asks for them.

    OpenBLAS's own threads spin for milliseconds after each product, on cores that encoders need; a request with many
    labels took several times its processor time. FAISS has a BLAS of its own, of another kind, and keeps it.
    """
    ThreadpoolController().select(threading_layer="pthreads").limit(limits=1)


def _grpc(settings: Settings) -> GrpcTransport:
    return GrpcTransport(
        settings.grpc_address,
        max_message_bytes=settings.limits.max_body_bytes,
        timeout_seconds=settings.request_timeout_seconds,
        certificate=settings.tls_certificate,
        certificate_key=settings.tls_key,
    )


@asynccontextmanager
async def _loading(pool: ModelPool, settings: Settings) -> AsyncIterator[None]:
    """Meanwhile encoders load; those that have not when it is left are given up."""
    loading = asyncio.create_task(_load_and_announce(pool, settings))
    yield
    loading.cancel()
    with suppress(asyncio.CancelledError):
        await loading


async def _load_and_announce(pool: ModelPool, settings: Settings) -> None:
    await pool.load(wait_for_servers=True)
    announce([status.manifest for status in pool.statuses() if status.state is LoadState.READY], settings)
