"""Settings to services: what routes call, on the encoders and collections of one server."""

from dataclasses import replace

from simila.api.dependencies import Services
from simila.api.images_by_url import ImagesByUrl
from simila.api.schemas.inputs import InputReader
from simila.app.encoders import manifest_of
from simila.app.stores import Stores
from simila.engine.cores import usable_cores
from simila.engine.model_pool import ModelPool
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
from simila.services.thumbnails import ThumbnailService
from simila.services.training import TrainingService
from simila.services.training_jobs import TrainingJobs
from simila.services.zero_shot import ZeroShotService
from simila.settings import Settings


def compose_services(settings: Settings, pool: ModelPool, stores: Stores, drain: Drain) -> Services:
    """Everything that routes call, on these encoders and collections."""
    limits, catalogue = settings.limits, stores.catalogue
    embedding = EmbeddingService(pool)
    classifiers = ClassifierService(pool, stores.classifier_files, most_predictions=limits.max_predictions)
    scorers, models, jobs = label_scorers(settings, embedding), ExampleModels(), TrainingJobs(classifiers)
    maps = MapService(catalogue)
    by_example = ExampleClassificationService(pool, catalogue, models, scorers, most_predictions=limits.max_predictions)
    items = ItemLimits(limits.max_items, limits.max_label_characters, limits.max_payload_bytes)
    vector_items = replace(items, items=limits.max_vector_items, items_setting="SIMILA_LIMITS__MAX_VECTOR_ITEMS")
    return Services(
        reader=_input_reader(settings),
        images_by_url=_images_by_url(settings),
        pool=pool,
        embedding=embedding,
        zero_shot=ZeroShotService(pool, scorers, most_predictions=limits.max_predictions),
        classifiers=classifiers,
        training=TrainingService(
            pool, catalogue, classifiers, scorers, jobs, label_characters=limits.max_label_characters
        ),
        training_jobs=jobs,
        stream_priors=StreamPriorService(classifiers),
        collections=CollectionService(pool, catalogue, CollectionLimits(items, page=limits.max_search_results)),
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
        models=ModelLifecycle(pool, lambda name: manifest_of(name, settings), stores.alias_file),
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


def _input_reader(settings: Settings) -> InputReader:
    limits = settings.limits
    return InputReader(
        max_inputs=limits.max_inputs,
        max_image_bytes=limits.max_image_bytes,
        max_text_characters=limits.max_text_characters,
        images={} if settings.fetch.enabled else None,
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
