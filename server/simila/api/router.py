"""What all routes have in common, and those under `/v1`."""

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from pydantic import BaseModel

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


def protocol_router(tag: str, error_body: type[BaseModel], *, prefix: str = "") -> APIRouter:
    """A router of another protocol's routes, whose errors have a body of that protocol."""
    return APIRouter(
        prefix=prefix,
        tags=[tag],
        responses={status: {**documented, "model": error_body} for status, documented in DOCUMENTED.items()},
        dependencies=[Depends(document_timeout)],
        route_class=DirectRoute,
    )
