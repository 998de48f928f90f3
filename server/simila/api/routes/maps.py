"""`/v1/collections/{name}/map`: all items as points of a plane."""

from http import HTTPStatus
from typing import Annotated, Literal

import orjson
from fastapi import Query, Response
from pydantic import BaseModel

from simila.api.dependencies import FromServices
from simila.api.router import v1_router
from simila.api.schemas.base import RequestBody
from simila.services.maps import MapState

router = v1_router("maps", prefix="/collections/{name}/map")


class MapRequest(RequestBody):
    """How to lay the items out: `pca`, by the two directions in which their vectors vary most."""

    method: Literal["pca"] = "pca"


class MapEntry(BaseModel):
    """How far the map is; `state` is running, done or failed."""

    state: str
    rows_done: int
    rows_total: int
    error: str | None

    @classmethod
    def of(cls, state: MapState) -> "MapEntry":
        return cls(state=state.state, rows_done=state.rows_done, rows_total=state.rows_total, error=state.error)


class MapPointsBody(BaseModel):
    """Columns of one entry an item. `clusters` are numbered from 0, the largest when the map was made.

    `nearest` is the cosine to the nearest other item, -1 of a lone one, and null for large collections; `values` are of
    the payload key `values_of`.
    """

    ids: list[str]
    labels: list[str | None]
    x: list[float]
    y: list[float]
    clusters: list[int]
    nearest: list[float] | None
    values: list[str | float | bool | None] | None


@router.post("", summary="Make the map of a collection", status_code=HTTPStatus.ACCEPTED)
async def start_map(name: str, _: MapRequest, services: FromServices) -> MapEntry:
    """Lay the items out in the background. The map is kept with the collection; new items are placed in it."""
    return MapEntry.of(await services.maps.start(name))


@router.get("", summary="See how far the map is")
async def get_map(name: str, services: FromServices) -> MapEntry:
    return MapEntry.of(await services.maps.state(name))


@router.get("/points", summary="Get the points of the map", response_model=MapPointsBody)
async def get_points(
    name: str,
    services: FromServices,
    values_of: Annotated[str | None, Query(description="A payload key whose values to answer too")] = None,
) -> Response:
    """All items as they lie on the map; 404 before the map is done."""
    points = await services.maps.points(name, key=values_of)
    columns = {
        "ids": points.ids,
        "labels": points.labels,
        "x": points.places[:, 0].copy(),
        "y": points.places[:, 1].copy(),
        "clusters": points.clusters,
        "nearest": points.nearest,
        "values": points.values and [one if isinstance(one, str | float | int) else None for one in points.values],
    }
    return Response(orjson.dumps(columns, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")
