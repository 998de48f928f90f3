"""The composition root: settings to objects to FastAPI."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial

from fastapi import FastAPI
from rich.console import Console
from starlette.types import ASGIApp
from threadpoolctl import ThreadpoolController

from simila.api.application import create_api
from simila.api.audit import AuditTrail
from simila.api.dependencies import Services
from simila.api.doorkeeper import Doorkeeper
from simila.api.grpc_transport import GrpcTransport
from simila.api.images_by_url import ImagesByUrl
from simila.api.middleware import LOOPBACK_HOSTS
from simila.api.schemas.inputs import InputReader
from simila.api.tracing import open_telemetry
from simila.backends.device_choice import Devices, choose_devices
from simila.backends.registry import runtimes
from simila.backends.triton import TritonOptions
from simila.domain.errors import InvalidConfiguration, SimilaError
from simila.domain.manifest import Manifest
from simila.domain.model_repository import ModelRepository
from simila.engine.cores import usable_cores
from simila.engine.encoder_starter import EngineOptions
from simila.engine.model_pool import EncoderStatus, LoadState, ModelPool
from simila.index.catalogue import Catalogue
from simila.preprocessing.fetching import FetchOptions, ImageFetcher
from simila.services.backups import BackupService
from simila.services.classifiers import ClassifierService
from simila.services.collections import CollectionLimits, CollectionService
from simila.services.drain import Drain
from simila.services.embedding import EmbeddingService
from simila.services.evaluation import EvaluationService
from simila.services.example_classification import ExampleClassificationService
from simila.services.example_models import ExampleModels
from simila.services.exports import ExportService
from simila.services.forgetting import ForgettingService
from simila.services.ingestion import IngestionService
from simila.services.item_checks import ItemLimits
from simila.services.label_scorers import LabelScorers
from simila.services.maps import MapService
from simila.services.migration import MigrationService
from simila.services.model_lifecycle import ModelLifecycle
from simila.services.prompt_checks import PromptLimits
from simila.services.readiness import ReadinessService
from simila.services.reranking import RerankService
from simila.services.search import SearchLimits, SearchService
from simila.services.search_queue import SearchQueue
from simila.services.stream_priors import StreamPriorService
from simila.services.text_queries import TextQueries
from simila.services.thumbnails import ThumbnailService
from simila.services.training import TrainingService
from simila.services.training_jobs import TrainingJobs
from simila.services.zero_shot import ZeroShotService
from simila.settings import Settings
from simila.storage.alias_file import AliasFile
from simila.storage.api_keys import ApiKeys
from simila.storage.audit_log import AuditLog
from simila.storage.classifier_files import ClassifierFiles
from simila.telemetry.logs import RequestLog
from simila_models.catalogue import find_manifest

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
    manifests = [_manifest(name, settings) for name in settings.encoders]
    engine_options = _engine_options(settings)
    text_queries = TextQueries()
    catalogue = Catalogue(
        settings.collections_dir,
        memory_bytes=settings.index.memory_bytes or None,
        synthetic_queries=text_queries,
    )

    classifier_files, alias_file = ClassifierFiles(settings.classifiers_dir), AliasFile(settings.aliases_path)
    keys = ApiKeys(settings.keys_path)
    door = Doorkeeper(keys)
    trail = AuditTrail(AuditLog(settings.audit_path)) if settings.audit else None
    log = RequestLog(settings.log_requests)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        pool = ModelPool(manifests, ModelRepository(settings.models_dir), engine_options)
        app.state.services = services = compose_services(settings, pool, catalogue, classifier_files, alias_file, drain)
        text_queries.attach(pool)
        loading = asyncio.create_task(_load_and_announce(pool, settings))
        async with grpc.serving(services, door=door, drain=drain, log=log, trail=trail, tracing=tracing):
            yield
        loading.cancel()
        with suppress(asyncio.CancelledError):
            await loading
        services.search.close()
        await services.models.close()
        await services.migration.close()
        await services.maps.close()
        await services.zero_shot.close()
        await services.training_jobs.close()
        pool.close()
        # Not in the loop: a search or a build may wait for the loop.
        await asyncio.to_thread(catalogue.close)
        keys.close()
        if trail:
            await trail.close()
        if services.images_by_url:
            await services.images_by_url.close()
        if tracing:
            await asyncio.to_thread(tracing.close)

    logger.info("device %s: %s", settings.device, engine_options.devices)
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
        trail=trail,
        cors_origins=settings.cors_origins,
        is_tls=settings.tls_certificate is not None,
        hosts=(*LOOPBACK_HOSTS, *settings.allowed_hosts) if settings.is_loopback else None,
    )


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


def problems_of(settings: Settings) -> list[SimilaError]:
    """Everything that the settings ask for and that is not there, so that nobody mends one to meet the next."""
    errors = []
    encoders = [partial(_manifest, name) for name in settings.encoders]
    checks: list[Callable[[Settings], object]] = [_grpc, *encoders, devices_of]
    for check in checks:
        try:
            check(settings)
        except SimilaError as error:
            errors.append(error)
    return errors


def load_encoders(settings: Settings, manifests: Sequence[Manifest]) -> list[EncoderStatus]:
    """Load encoders as a server would, checking their certificates, and say how each stands."""

    async def load() -> list[EncoderStatus]:
        pool = ModelPool(manifests, ModelRepository(settings.models_dir), _engine_options(settings))
        await pool.load()
        pool.close()
        return pool.statuses()

    return asyncio.run(load())


def compose_services(
    settings: Settings,
    pool: ModelPool,
    catalogue: Catalogue,
    classifier_files: ClassifierFiles,
    alias_file: AliasFile,
    drain: Drain,
) -> Services:
    """Everything that routes call, on these encoders and collections."""
    limits = settings.limits
    embedding = EmbeddingService(pool)
    classifiers = ClassifierService(pool, classifier_files, most_predictions=limits.max_predictions)
    items = ItemLimits(limits.max_items, limits.max_label_characters, limits.max_payload_bytes)
    vector_items = replace(items, items=limits.max_vector_items, items_setting="SIMILA_LIMITS__MAX_VECTOR_ITEMS")
    scorers, models, jobs = label_scorers(settings, embedding), ExampleModels(), TrainingJobs(classifiers)
    maps = MapService(catalogue)
    by_example = ExampleClassificationService(pool, catalogue, models, scorers, most_predictions=limits.max_predictions)
    return Services(
        reader=InputReader(
            max_inputs=limits.max_inputs,
            max_image_bytes=limits.max_image_bytes,
            max_text_characters=limits.max_text_characters,
            images={} if settings.fetch.enabled else None,
        ),
        images_by_url=_images_by_url(settings),
        pool=pool,
        embedding=embedding,
        zero_shot=ZeroShotService(
            pool,
            scorers,
            most_predictions=limits.max_predictions,
        ),
        classifiers=classifiers,
        training=TrainingService(
            pool, catalogue, classifiers, scorers, jobs, label_characters=limits.max_label_characters
        ),
        training_jobs=jobs,
        stream_priors=StreamPriorService(classifiers),
        collections=CollectionService(
            pool,
            catalogue,
            CollectionLimits(items, page=limits.max_search_results),
        ),
        ingestion=IngestionService(catalogue, vector_items),
        backups=BackupService(catalogue),
        exports=ExportService(catalogue),
        migration=MigrationService(pool, catalogue),
        search=SearchService(
            pool,
            catalogue,
            SearchQueue(workers=usable_cores(), most_wait_seconds=settings.engine.max_queue_seconds),
            SearchLimits(limits.max_search_results, limits.max_searches, limits.max_paged_results),
        ),
        by_example=by_example,
        evaluation=EvaluationService(catalogue, models, by_example),
        forgetting=ForgettingService(pool, catalogue, models, jobs, maps, most_ids=limits.max_items),
        readiness=ReadinessService(pool, drain),
        reranking=RerankService(embedding),
        models=ModelLifecycle(pool, lambda name: _manifest(name, settings), alias_file),
        thumbnails=ThumbnailService(catalogue, max_image_pixels=limits.max_image_pixels),
        maps=maps,
    )


def label_scorers(settings: Settings, embedding: EmbeddingService) -> LabelScorers:
    """The prototypes of zero-shot classification, within the settings' limits."""
    limits = settings.limits
    return LabelScorers(
        embedding,
        cached_labels=settings.engine.cached_labels,
        cache_bytes=settings.engine.label_set_cache_bytes,
        limits=PromptLimits(limits.max_labels, limits.max_label_characters, limits.max_prompt_characters),
    )


def _images_by_url(settings: Settings) -> ImagesByUrl | None:
    fetch, limits = settings.fetch, settings.limits
    if not fetch.enabled:
        return None
    options = FetchOptions(
        allowed_hosts=fetch.allowed_hosts,
        denied_hosts=fetch.denied_hosts,
        allowed_networks=fetch.allowed_networks,
        ports=fetch.ports,
        max_bytes=limits.max_image_bytes,
        max_redirects=fetch.max_redirects,
        timeout_seconds=fetch.timeout_seconds,
    )
    return ImagesByUrl(ImageFetcher(options), max_images=fetch.max_images, max_bytes=limits.max_body_bytes)


def _manifest(name: str, settings: Settings) -> Manifest:
    return find_manifest(name, [settings.manifests_dir]).served_in(settings.precisions)


def _engine_options(settings: Settings) -> EngineOptions:
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


def devices_of(settings: Settings) -> Devices:
    """What encoders would run on.

    Raises:
        DeviceUnavailable: the settings ask for a device that is not there.

    """
    return choose_devices(settings.device, runtimes(_triton_options(settings)))


def _triton_options(settings: Settings) -> TritonOptions:
    triton = settings.triton
    return TritonOptions(triton.addresses, triton.tls, triton.shared_memory, triton.timeout_seconds)


async def _load_and_announce(pool: ModelPool, settings: Settings) -> None:
    await pool.load(wait_for_servers=True)
    served = [status.manifest for status in pool.statuses() if status.state is LoadState.READY]
    # The address fe80::1 in its brackets would be markup.
    Console(soft_wrap=True, highlight=False, markup=False, emoji=False).print(_announcement(served, settings))


def _announcement(served: Sequence[Manifest], settings: Settings) -> str:
    url = settings.url
    if not served:
        return f"Simila listens on {url}, but no encoder could be loaded; run: simila models export"
    names = ", ".join(manifest.name for manifest in served)
    body = json.dumps({"model": served[0].name, "input": "hello"})
    curl = f"curl -s {url}/v1/embeddings -H 'content-type: application/json' -d '{body}'"
    return f"Simila is ready on {url}, serving {names}. Try: {curl}"
