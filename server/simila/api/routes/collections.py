"""`/v1/collections`: collections as a whole."""

from http import HTTPStatus

from fastapi import Response

from simila.api.access import may_see
from simila.api.dependencies import FromServices
from simila.api.router import v1_router
from simila.api.schemas.base import ListBody
from simila.api.schemas.collections import (
    CollectionEntry,
    CountRequest,
    CountResponse,
    CreateCollectionRequest,
    PayloadIndexEntry,
)

router = v1_router("collections", prefix="/collections")


@router.put(
    "/{name}",
    summary="Create a collection",
    responses={HTTPStatus.CREATED: {"model": CollectionEntry, "description": "Created now"}},
)
async def create_collection(
    name: str, request: CreateCollectionRequest, services: FromServices, response: Response
) -> CollectionEntry:
    """Tie a collection to an encoder. One that exists with the same encoder is answered with 200, else with 409."""
    state, created = await services.collections.create(name, request.encoder, request.options())
    response.status_code = HTTPStatus.CREATED if created else HTTPStatus.OK
    return CollectionEntry.of(name, state)


@router.get("", summary="List the collections")
async def list_collections(services: FromServices) -> ListBody[CollectionEntry]:
    states = await services.collections.states()
    return ListBody(data=[CollectionEntry.of(name, state) for name, state in states.items() if may_see(name)])


@router.get("/{name}", summary="Describe a collection")
async def get_collection(name: str, services: FromServices) -> CollectionEntry:
    return CollectionEntry.of(name, await services.collections.describe(name))


@router.delete("/{name}", summary="Delete a collection with all its items", status_code=HTTPStatus.NO_CONTENT)
async def delete_collection(name: str, services: FromServices) -> None:
    await services.collections.drop(name)


@router.post("/{name}/count", summary="Count the items that match a filter")
async def count(name: str, body: CountRequest, services: FromServices) -> CountResponse:
    return CountResponse(count=await services.collections.count(name, body.filter))


@router.put(
    "/{name}/indexes/{key:path}",
    summary="Make filters on a payload key quick",
    responses={HTTPStatus.CREATED: {"model": PayloadIndexEntry, "description": "Declared now"}},
)
async def declare_payload_index(name: str, key: str, services: FromServices, response: Response) -> PayloadIndexEntry:
    """Keep an index of the values at a key, dotted for nested ones. At a million items, writes wait for seconds."""
    declared = await services.collections.declare_payload_index(name, key)
    response.status_code = HTTPStatus.CREATED if declared else HTTPStatus.OK
    return PayloadIndexEntry(key=key)


@router.delete(
    "/{name}/indexes/{key:path}", summary="Drop the index of a payload key", status_code=HTTPStatus.NO_CONTENT
)
async def drop_payload_index(name: str, key: str, services: FromServices) -> None:
    await services.collections.drop_payload_index(name, key)
