"""`/v1/collections/{name}/migrate`: a collection moves into another encoder's space."""

from http import HTTPStatus

from simila.api.dependencies import FromServices
from simila.api.router import v1_router
from simila.api.schemas.migration import MigrateRequest, MigrationEntry

router = v1_router("collections", prefix="/collections/{name}/migrate")


@router.post("", summary="Embed a collection again with another encoder", status_code=HTTPStatus.ACCEPTED)
async def migrate(name: str, request: MigrateRequest, services: FromServices) -> MigrationEntry:
    """Begin in the background: searches and writes go on, and the collection switches when all is done.

    The collection must keep its sources (`store_inputs`). Restarting the server ends a migration that is not done.
    """
    return MigrationEntry.of(await services.migration.start(name, request.encoder))


@router.get("", summary="How far the newest migration is")
async def get_migration(name: str, services: FromServices) -> MigrationEntry | None:
    """Null if there was none since the server started."""
    progress = services.migration.progress(name)
    return MigrationEntry.of(progress) if progress else None
