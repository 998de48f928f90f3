"""What routes are given: the services, and the reader of inputs."""

import json
from dataclasses import dataclass, replace
from typing import Annotated, Any, cast

from fastapi import Depends, Header, Request

from simila.api.images_by_url import ImagesByUrl
from simila.api.schemas.inputs import InputReader
from simila.engine.model_pool import ModelPool
from simila.services.backups import BackupService
from simila.services.classifiers import ClassifierService
from simila.services.collections import CollectionService
from simila.services.embedding import EmbeddingService
from simila.services.evaluation import EvaluationService
from simila.services.example_classification import ExampleClassificationService
from simila.services.exports import ExportService
from simila.services.forgetting import ForgettingService
from simila.services.ingestion import IngestionService
from simila.services.maps import MapService
from simila.services.migration import MigrationService
from simila.services.model_lifecycle import ModelLifecycle
from simila.services.readiness import ReadinessService
from simila.services.reranking import RerankService
from simila.services.search import SearchService
from simila.services.stream_priors import StreamPriorService
from simila.services.thumbnails import ThumbnailService
from simila.services.training import TrainingService
from simila.services.training_jobs import TrainingJobs
from simila.services.zero_shot import ZeroShotService


@dataclass(frozen=True)
class Services:
    """Everything that routes call, made once by the composition root."""

    reader: InputReader
    images_by_url: ImagesByUrl | None  # None: the server fetches nothing
    pool: ModelPool
    embedding: EmbeddingService
    zero_shot: ZeroShotService
    classifiers: ClassifierService
    training: TrainingService
    training_jobs: TrainingJobs
    stream_priors: StreamPriorService
    collections: CollectionService
    ingestion: IngestionService
    backups: BackupService
    exports: ExportService
    migration: MigrationService
    search: SearchService
    by_example: ExampleClassificationService
    evaluation: EvaluationService
    forgetting: ForgettingService
    readiness: ReadinessService
    reranking: RerankService
    models: ModelLifecycle
    thumbnails: ThumbnailService
    maps: MapService

    async def close(self) -> None:
        """Give up what runs in the background, and the encoders last."""
        self.search.close()
        await self.models.close()
        await self.migration.close()
        await self.maps.close()
        await self.zero_shot.close()
        await self.training_jobs.close()
        if self.images_by_url:
            await self.images_by_url.close()
        self.pool.close()


def services_of(request: Request) -> Services:
    return cast("Services", request.app.state.services)


async def services_with_images(request: Request, body: Any) -> Services:
    """The services, whose reader has the images that this body names by URL."""
    services = services_of(request)
    if services.images_by_url is None:
        return services
    return replace(services, reader=await services.images_by_url.reader_of(body, services.reader))


async def _services(request: Request) -> Services:
    services = services_of(request)
    # A route without a model for its body may stream gigabytes.
    if services.images_by_url is None or request.scope["route"].body_field is None:
        return services
    try:
        return await services_with_images(request, json.loads(await request.body()))
    except (ValueError, RecursionError):  # it is no JSON, or deeper than any request is
        return services


async def document_timeout(
    x_request_timeout: Annotated[
        float | None,
        Header(gt=0, description="Seconds after which nobody waits any longer: what is not done is dropped, 504."),
    ] = None,
) -> None:
    """Put into the documentation of all routes what `Deadline` reads before them."""


FromServices = Annotated[Services, Depends(_services)]
