"""The wire format of the maps of collections, without I/O, as `wire` is."""

from urllib.parse import urlencode

import numpy as np

from simila_client.bodies import collection_path
from simila_client.map_results import MapPoints, MapState
from simila_client.request import Json, Request


def make_map(name: str) -> Request[MapState]:
    return Request("POST", collection_path(name, "map"), _state, {})


def map_state(name: str) -> Request[MapState]:
    return Request("GET", collection_path(name, "map"), _state)


def map_points(name: str, *, values_of: str | None = None) -> Request[MapPoints]:
    query = "" if values_of is None else f"?{urlencode({'values_of': values_of})}"
    return Request("GET", collection_path(name, "map", "points") + query, _points)


def _state(body: Json) -> MapState:
    return MapState(body["state"], body["rows_done"], body["rows_total"], body["error"])


def _points(body: Json) -> MapPoints:
    nearest, values = body["nearest"], body["values"]
    return MapPoints(
        ids=tuple(body["ids"]),
        labels=tuple(body["labels"]),
        places=np.stack([np.array(body[axis], dtype=np.float32) for axis in ("x", "y")], axis=1),
        clusters=np.array(body["clusters"], dtype=np.int64),
        nearest=None if nearest is None else np.array(nearest, dtype=np.float32),
        values=None if values is None else tuple(values),
    )
