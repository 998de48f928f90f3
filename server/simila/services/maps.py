"""Use case: see a whole collection at once, as points of a plane."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from simila.classifiers.plane import PlaneFit, nearest_cosines
from simila.domain.errors import NotFound, SimilaError
from simila.domain.vectors import Float32, Int64
from simila.index.catalogue import Catalogue
from simila.index.collection import Collection
from simila.storage.item_reader import ItemReader

logger = logging.getLogger("simila.services")

CHUNK_ROWS = 8192
# All pairs are compared: 20,000 items of 384 dimensions take some ten seconds of one core.
MOST_COMPARED = 20_000

State = Literal["running", "done", "failed"]


@dataclass
class MapState:
    """How far the map of a collection is; `rows_done` of `rows_total` have been read or compared."""

    state: State = "running"
    rows_done: int = 0
    rows_total: int = 0
    error: str | None = None


@dataclass(frozen=True)
class MapPoints:
    """The items of a map: `places float32 [n, 2]`; `values` are of the payload key that was asked for.

    `nearest`, `float32 [n]`, is the cosine of each item and its nearest other; None where there are too many to
    compare, and -1 of items that came after the map was made.
    """

    ids: Sequence[str]
    labels: Sequence[str | None]
    places: Float32
    nearest: Float32 | None
    values: Sequence[Any] | None


@dataclass
class _Map:
    collection: Collection
    state: MapState = field(default_factory=MapState)
    fit: PlaneFit | None = None
    sequences: Int64 = field(default_factory=lambda: np.zeros(0, np.int64))
    places: Float32 = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    nearest: Float32 | None = None


class MapService:
    """Maps by principal components, made in the background and kept in memory until their collection is replaced.

    What is written later is placed by the components that are there; what is deleted is no longer shown.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._maps: dict[str, _Map] = {}
        self._jobs: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def start(self, name: str) -> MapState:
        """Begin to make a map, unless one is being made.

        Raises:
            UnknownCollection, CollectionUnavailable: see `Catalogue.get`.

        """
        collection = self._catalogue.get(name)
        made = self._maps.get(name)
        if made is None or made.collection is not collection or made.state.state != "running":
            self._maps[name] = made = _Map(collection)
            job = asyncio.create_task(asyncio.to_thread(self._make, made))
            self._jobs.add(job)
            job.add_done_callback(self._jobs.discard)
        return made.state

    def state(self, name: str) -> MapState:
        """How far the map is.

        Raises:
            UnknownCollection, CollectionUnavailable: see `Catalogue.get`.
            NotFound: none was begun.

        """
        return self._of(name).state

    async def points(self, name: str, *, key: str | None = None) -> MapPoints:
        """The map as it is now, with the values of a payload key.

        Raises:
            UnknownCollection, CollectionUnavailable: see `Catalogue.get`.
            NotFound: there is no map that is done.

        """
        made = self._of(name)
        if made.state.state != "done":
            raise NotFound(f"the map of collection {name} is {made.state.state}, not done", param="name")
        return await asyncio.to_thread(_points, made, key)

    async def close(self) -> None:
        """End what is under way."""
        self._is_closed = True
        await asyncio.gather(*self._jobs)

    def _of(self, name: str) -> _Map:
        collection = self._catalogue.get(name)
        made = self._maps.get(name)
        if made is None or made.collection is not collection:
            raise NotFound(f"collection {name} has no map; POST /v1/collections/{name}/map makes one", param="name")
        return made

    def _make(self, made: _Map) -> None:
        try:
            with made.collection.reader.snapshot() as reader:
                _fit(made, reader, lambda: self._is_closed)
            made.state.state = "done"
        except SimilaError as error:
            made.state.state, made.state.error = "failed", error.message
        except Exception:
            made.state.state, made.state.error = "failed", "the server failed; its log says why"
            logger.exception("the map of collection %s", made.collection.spec.name)


def _fit(made: _Map, reader: ItemReader, is_closed: Callable[[], bool]) -> None:
    total = reader.count()
    compares = total <= MOST_COMPARED
    made.state.rows_total = total * (3 if compares else 2)
    fit = PlaneFit(made.collection.spec.dimension)
    for chunk in reader.scan(0, CHUNK_ROWS):
        if is_closed():
            return
        fit.add(chunk.vectors)
        made.state.rows_done += len(chunk.vectors)
    fit.finish()
    kept, sequences, places = [], [made.sequences], [made.places]
    for chunk in reader.scan(0, CHUNK_ROWS):
        sequences.append(chunk.sequences)
        places.append(fit.places(chunk.vectors))
        kept += [chunk.vectors] if compares else []
        made.state.rows_done += len(chunk.vectors)
    made.fit, made.sequences, made.places = fit, np.concatenate(sequences), np.concatenate(places)
    if compares and kept and not is_closed():
        made.nearest = nearest_cosines(np.concatenate(kept))
        made.state.rows_done = made.state.rows_total


def _points(made: _Map, key: str | None) -> MapPoints:
    reader = made.collection.reader
    sequences, places, nearest = made.sequences, made.places, made.nearest
    assert made.fit
    for chunk in reader.scan(int(sequences[-1]) if len(sequences) else 0, CHUNK_ROWS):
        sequences = np.concatenate([sequences, chunk.sequences])
        places = np.concatenate([places, made.fit.places(chunk.vectors)])
        if nearest is not None:
            nearest = np.concatenate([nearest, np.full(len(chunk.sequences), -1, np.float32)])
    there = np.isin(sequences, reader.sequences())
    rows = {}
    for start in range(0, len(sequences), CHUNK_ROWS):
        rows.update(reader.by_sequence(sequences[start : start + CHUNK_ROWS]))
    there &= np.isin(sequences, np.fromiter(rows, np.int64, len(rows)))
    shown = [rows[sequence] for sequence in sequences[there].tolist()]
    values = None if key is None else [(row.payload or {}).get(key) for row in shown]
    return MapPoints(
        [row.id for row in shown],
        [row.label for row in shown],
        places[there],
        None if nearest is None else nearest[there],
        values,
    )
