"""What all routes under `/v1` have in common."""

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
