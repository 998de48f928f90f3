"""What routes are given: the services, and the reader of inputs."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from simila.api.schemas.inputs import InputReader
from simila.engine.model_pool import ModelPool
from simila.services.collections import CollectionService
from simila.services.embedding import EmbeddingService
from simila.services.readiness import ReadinessService
from simila.services.zero_shot import ZeroShotService


@dataclass(frozen=True)
class Services:
    """Everything that routes call, made once by the composition root."""

    reader: InputReader
    pool: ModelPool
    embedding: EmbeddingService
    zero_shot: ZeroShotService
    collections: CollectionService
    readiness: ReadinessService


async def _services(request: Request) -> Services:
    return cast("Services", request.app.state.services)


FromServices = Annotated[Services, Depends(_services)]
