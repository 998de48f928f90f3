"""What all routes have in common, and those under `/v1`."""

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute

from simila.api.dependencies import document_timeout
from simila.api.direct_route import DirectRoute
from simila.api.errors import DOCUMENTED


def v1_router(tag: str, *, prefix: str = "", route_class: type[APIRoute] = DirectRoute) -> APIRouter:
    """A router whose routes document the errors and the header that they share."""
    return APIRouter(
        prefix=f"/v1{prefix}",
        tags=[tag],
        responses=DOCUMENTED,
        dependencies=[Depends(document_timeout)],
        route_class=route_class,
    )


def protocol_router(tag: str, *, prefix: str = "") -> APIRouter:
    """A router of another protocol's routes. Their errors have that protocol's shape, and are documented by it."""
    return APIRouter(prefix=prefix, tags=[tag], dependencies=[Depends(document_timeout)], route_class=DirectRoute)
