"""`/v1/collections/{name}/thumbnails`. An item's id may contain slashes."""

from typing import Annotated

from fastapi import Query, Response

from simila.api.dependencies import FromServices
from simila.api.router import v1_router

JPEG = "image/jpeg"
LARGEST_EDGE_PIXELS = 1024

router = v1_router("items", prefix="/collections/{name}/thumbnails")


@router.get(
    "/{id:path}",
    summary="Get a small picture of an item",
    response_class=Response,
    responses={200: {"content": {JPEG: {"schema": {"type": "string", "format": "binary"}}}}},
)
async def get_thumbnail(
    name: str,
    id: str,  # noqa: A002 - the wire's name
    services: FromServices,
    size: Annotated[int, Query(ge=16, le=LARGEST_EDGE_PIXELS, description="Pixels of the longer edge")] = 256,
) -> Response:
    """A JPEG of the image that the collection keeps (`store_inputs`); 404 where it keeps none."""
    jpeg = await services.thumbnails.jpeg(name, id, edge_pixels=size)
    # Once it is forgotten no browser should have it either.
    return Response(jpeg, media_type=JPEG, headers={"cache-control": "no-store"})
