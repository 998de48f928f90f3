"""`/v1/collections/{name}/backup` and `/export`: a whole collection as one file."""

import re
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response
from pydantic import Json
from starlette.types import Scope

from simila.api.dependencies import FromServices
from simila.api.file_answer import FileAnswer
from simila.api.router import v1_router
from simila.api.schemas.collections import CollectionEntry

BACKUP_TYPE = "application/vnd.sqlite3"
PARQUET_TYPE = "application/vnd.apache.parquet"

_RESTORE_PATH = re.compile(r"/v1/collections/[^/]+/backup")
_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}

router = v1_router("collections", prefix="/collections/{name}")


def is_restore(scope: Scope) -> bool:
    """Whether the body of a request is a backup, which goes to the disk and may be larger than others."""
    return scope["method"] == "PUT" and _RESTORE_PATH.fullmatch(scope["path"]) is not None


@router.get(
    "/backup",
    summary="Back a collection up to one file",
    response_class=Response,
    responses={200: {"content": {BACKUP_TYPE: _BINARY}, "description": "The backup"}},
)
async def back_up(name: str, services: FromServices) -> Response:
    """Everything as it is at one moment, while writes go on, with a digest that is checked when it is restored."""
    file = await services.backups.make(name)
    return FileAnswer(file, media_type=BACKUP_TYPE, file_name=f"{name}.simila")


@router.put(
    "/backup",
    summary="Make a collection out of a backup",
    responses={HTTPStatus.CREATED: {"model": CollectionEntry, "description": "Created now"}},
    openapi_extra={"requestBody": {"required": True, "content": {BACKUP_TYPE: _BINARY}}},
)
async def restore(
    name: str,
    services: FromServices,
    request: Request,
    response: Response,
    replace: Annotated[bool, Query(description="Replace a collection of this name")] = False,
) -> CollectionEntry:
    """Check all of it, and only then serve it under this name. A collection that it replaces serves until then."""
    replaced = await services.backups.restore(name, request.stream(), replace=replace)
    response.status_code = HTTPStatus.OK if replaced else HTTPStatus.CREATED
    return CollectionEntry.of(name, await services.collections.describe(name))


@router.get(
    "/export",
    summary="Export a collection as a table",
    response_class=Response,
    responses={200: {"content": {PARQUET_TYPE: _BINARY}, "description": "The table"}},
)
async def export(
    name: str,
    services: FromServices,
    format: Literal["parquet"] = "parquet",  # noqa: A002, ARG001 - the wire's name; there is one so far
    filter: Annotated[  # noqa: A002 - the wire's name
        Json[Any] | None, Query(description="A filter as JSON; without one, all items are exported")
    ] = None,
) -> Response:
    """The items that match as they are at one moment: id, vector, label, payload (JSON) and sequence, by sequence.

    The table's metadata say which encoder the vectors are of: simila.encoder, simila.fingerprint, simila.dimension.
    """
    file = await services.exports.parquet(name, filter)
    return FileAnswer(file, media_type=PARQUET_TYPE, file_name=f"{name}.parquet")
