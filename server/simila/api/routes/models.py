"""`/v1/models` and `/v1/aliases`: what is served, and how it comes and goes."""

from simila.api.dependencies import FromServices
from simila.api.router import v1_router
from simila.api.schemas.base import ListBody
from simila.api.schemas.models import AliasEntry, AliasRequest, LifecycleRequest, ModelEntry
from simila.domain.manifest import EncoderName

router = v1_router("models")


@router.get("/models", summary="List the encoders with their parity certificates")
async def list_models(services: FromServices) -> ListBody[ModelEntry]:
    aliases = services.pool.aliases
    return ListBody(data=[ModelEntry.of(status, aliases) for status in services.pool.statuses()])


@router.get("/models/{model}", summary="Describe an encoder")
async def get_model(model: str, services: FromServices) -> ModelEntry:
    return ModelEntry.of(services.pool.status(model), services.pool.aliases)


@router.post("/models/{model}/load", summary="Load an encoder, or the version of it that is exported now")
async def load_model(model: str, _: LifecycleRequest, services: FromServices) -> ModelEntry:
    """The version that serves goes on until the new one has passed its certificate; then all new requests go there.

    Requests that began before end where they began. When the new version fails, the old one goes on.
    """
    return ModelEntry.of(await services.models.load(model), services.pool.aliases)


@router.post("/models/{model}/unload", summary="Take an encoder out of service and free its memory")
async def unload_model(model: str, _: LifecycleRequest, services: FromServices) -> ModelEntry:
    """New requests are refused at once; the answer comes when those under way are done and the memory is given back."""
    return ModelEntry.of(await services.models.unload(model), services.pool.aliases)


@router.get("/aliases", summary="List other names of encoders")
async def list_aliases(services: FromServices) -> ListBody[AliasEntry]:
    return ListBody(data=AliasEntry.all(services.pool.aliases))


@router.put("/aliases/{alias}", summary="Point another name at an encoder, from one request to the next")
async def set_alias(alias: EncoderName, request: AliasRequest, services: FromServices) -> ListBody[AliasEntry]:
    """The encoder must be ready: a canary is run through it first. Requests under way end where they began."""
    return ListBody(data=AliasEntry.all(await services.models.set_alias(alias, request.model)))


@router.delete("/aliases/{alias}", summary="Remove another name")
async def delete_alias(alias: str, services: FromServices) -> ListBody[AliasEntry]:
    return ListBody(data=AliasEntry.all(await services.models.delete_alias(alias)))
