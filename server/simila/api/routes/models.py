"""`GET /v1/models`."""

from simila.api.dependencies import FromServices
from simila.api.router import v1_router
from simila.api.schemas.base import ListBody
from simila.api.schemas.models import ModelEntry

router = v1_router("models", prefix="/models")


@router.get("", summary="List the encoders with their parity certificates")
async def list_models(services: FromServices) -> ListBody[ModelEntry]:
    return ListBody(data=[ModelEntry.of(status) for status in services.pool.statuses()])


@router.get("/{model}", summary="Describe an encoder")
async def get_model(model: str, services: FromServices) -> ModelEntry:
    return ModelEntry.of(services.pool.status(model))
