"""What the client hands back of maps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simila_client.results import Float32


@dataclass(frozen=True)
class MapState:
    """How far a map is; `state` is running, done or failed, `error` says why."""

    state: str
    rows_done: int
    rows_total: int
    error: str | None


@dataclass(frozen=True)
class MapPoints:
    """All items of a collection on its map; every field has an entry for each."""

    ids: tuple[str, ...]
    labels: tuple[str | None, ...]
    places: Float32  # [n, 2]
    clusters: NDArray[np.int64]  # [n], numbered from 0, the largest when the map was made
    nearest: Float32 | None
    """`[n]`, the cosine to the nearest other item, -1 of a lone one; None for large collections."""
    values: tuple[str | float | bool | None, ...] | None
    """Of the payload key that was asked for."""
