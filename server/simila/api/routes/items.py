"""`/v1/collections/{name}/items`. An item's id may contain slashes."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

from fastapi import Query

from simila.api.access import count_items
from simila.api.dependencies import FromServices
from simila.api.router import v1_router
from simila.api.routes.ingestion import ARROW_BODY, JsonOrArrow
from simila.api.schemas.collections import (
    LARGEST_SEQUENCE,
    DeleteItemsRequest,
    DeleteItemsResponse,
    ItemPage,
    ItemWithVector,
    RelabelManyRequest,
    RelabelRequest,
    RelabelResponse,
    ScrollPage,
    ScrollRequest,
    UpsertRequest,
    UpsertResponse,
)

router = v1_router("items", prefix="/collections/{name}/items", route_class=JsonOrArrow)


@router.post("", summary="Add or replace items", openapi_extra=ARROW_BODY)
async def upsert(name: str, body: UpsertRequest, services: FromServices) -> UpsertResponse:
    """Embed and store all items, or none. When this answers they are on disk and searchable.

    `fingerprint` is that of the encoder which computed the vectors; another than the collection's is refused with 409.
    Ready vectors arrive fastest as an Arrow IPC stream.
    """
    count_items(len(body.items))
    items = [item.new_item(services.reader, position) for position, item in enumerate(body.items)]
    sequence = await services.collections.upsert(name, items, fingerprint=body.fingerprint)
    return UpsertResponse(upserted=len(items), sequence=sequence)


@router.get("", summary="Page through the items")
async def page(
    name: str,
    services: FromServices,
    after: Annotated[int, Query(ge=0, le=LARGEST_SEQUENCE, description="`next` of the page before")] = 0,
    limit: Annotated[int, Query(ge=1)] = 100,
) -> ItemPage:
    """Items in the order they were written. An item that is written while you page comes at the end."""
    return ItemPage.of(await services.collections.page(name, after_sequence=after, limit=limit))


@router.post("/scroll", summary="Page through the items that match a filter")
async def scroll(name: str, body: ScrollRequest, services: FromServices) -> ScrollPage:
    """Items in the order they were written. An item that is written while you page comes at the end."""
    found = await services.collections.page(
        name, after_sequence=body.after, limit=body.limit, filter=body.filter, with_vectors=body.with_vectors
    )
    return ScrollPage.of(found)


@router.post("/delete", summary="Delete many items")
async def delete_items(name: str, body: DeleteItemsRequest, services: FromServices) -> DeleteItemsResponse:
    """Delete the items of some ids, those that match a filter, or all. Ids of no item are named in the answer."""
    if body.ids is not None:
        deleted = await services.collections.delete_items(name, body.ids)
        return DeleteItemsResponse(deleted=len(deleted), missing=_missing(body.ids, deleted))
    if body.filter is not None:
        return DeleteItemsResponse(deleted=await services.collections.delete_matching(name, body.filter))
    return DeleteItemsResponse(deleted=await services.collections.delete_all_items(name))


@router.get("/{id:path}", summary="Get an item", response_model_exclude_none=False)
async def get_item(name: str, id: str, services: FromServices, vector: bool = False) -> ItemWithVector:  # noqa: A002
    """An item, with its vector when `vector=true`."""
    return ItemWithVector.of_stored(await services.collections.get_item(name, id), vector=vector)


@router.patch("/{id:path}", summary="Give an item another label")
async def relabel(name: str, id: str, body: RelabelRequest, services: FromServices) -> UpsertResponse:  # noqa: A002
    """Class means, searches and evaluations know it by the new label when this answers; nothing is embedded again."""
    return UpsertResponse(upserted=1, sequence=await services.collections.relabel_item(name, id, body.label))


@router.patch("", summary="Give many items another label")
async def relabel_many(name: str, body: RelabelManyRequest, services: FromServices) -> RelabelResponse:
    """All in one transaction; no write of another's comes between, and nothing is embedded again.

    Ids of no item are named in the answer.
    """
    count_items(len(body.ids))
    done = await services.collections.relabel(name, body.ids, body.label)
    newest = int(done.sequences[-1]) if done.ids else None
    return RelabelResponse(relabelled=len(done.ids), sequence=newest, missing=_missing(body.ids, done.ids))


@router.delete("/{id:path}", summary="Delete an item", status_code=HTTPStatus.NO_CONTENT)
async def delete_item(name: str, id: str, services: FromServices) -> None:  # noqa: A002
    await services.collections.delete_item(name, id)


def _missing(asked: Sequence[str], found: Sequence[str]) -> list[str]:
    """Each id once, in the order in which they were asked for."""
    there = set(found)
    return [item_id for item_id in dict.fromkeys(asked) if item_id not in there]
