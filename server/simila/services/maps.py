"""Use case: see a whole collection at once, as points of a plane."""

import asyncio
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from simila.domain.errors import NotFound, SimilaError
from simila.domain.vectors import Float32, Int64
from simila.index.catalogue import Catalogue
from simila.index.collection import Collection
from simila.services.map_layout import MOST_COMPARED, caught_up, laid_out
from simila.storage.map_file import StoredMap, load_map, remove_map, save_map

logger = logging.getLogger("simila.services")

_CHUNK_ROWS = 8192

State = Literal["running", "done", "failed"]


@dataclass
class MapState:
    """How far the map of a collection is; `rows_done` of `rows_total` have been read, placed or compared."""

    state: State = "running"
    rows_done: int = 0
    rows_total: int = 0
    error: str | None = None


@dataclass(frozen=True)
class MapPoints:
    """The items of a map: `places float32 [n, 2]`; `values` are of the payload key that was asked for.

    `clusters`, `int64 [n]`, are numbered from the largest when the map was made, -1 where there were none. `nearest`,
    `float32 [n]`, is the cosine of each item and its nearest other, -1 of a lone one; None where there are too many to
    compare.
    """

    ids: Sequence[str]
    labels: Sequence[str | None]
    places: Float32
    clusters: Int64
    nearest: Float32 | None
    values: Sequence[Any] | None


class _Dropped(Exception):
    """What the map is made of was forgotten, or the server stops."""


@dataclass
class _Map:
    collection: Collection
    state: MapState = field(default_factory=MapState)
    stored: StoredMap | None = None
    is_dropped: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def advance(self, rows: int) -> None:
        if self.is_dropped:
            raise _Dropped
        self.state.rows_done += rows

    def make(self) -> None:
        rows = self.collection.reader.count()
        self.state.rows_total = rows * (3 if rows <= MOST_COMPARED else 2)
        stored = laid_out(self.collection, self.advance)
        with self.lock:
            if self.is_dropped:
                raise _Dropped
            save_map(self.collection.folder, stored, self.collection.spec.store_id)
            self.stored, self.state.state = stored, "done"

    def drop(self) -> None:
        with self.lock:
            self.is_dropped = True
            remove_map(self.collection.folder)

    def points(self, key: str | None) -> MapPoints:
        with self.lock:
            assert self.stored
            self.stored = stored = caught_up(self.stored, self.collection, lambda _: None)
        return _points(stored, self.collection, key)


class MapService:
    """Maps by principal components, made in the background and kept beside the items of their collection.

    What is written later is placed by the components that are there; what is deleted is no longer shown.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._maps: dict[str, _Map] = {}
        self._jobs: set[asyncio.Task[None]] = set()

    async def start(self, name: str) -> MapState:
        """Begin to make a map, unless one is being made.

        Raises:
            UnknownCollection, CollectionUnavailable: see `Catalogue.get`.

        """
        collection = self._catalogue.get(name)
        made = self._maps.get(name)
        if made is None or made.collection is not collection or made.state.state != "running":
            self._maps[name] = made = _Map(collection)
            job = asyncio.create_task(asyncio.to_thread(_make, made))
            self._jobs.add(job)
            job.add_done_callback(self._jobs.discard)
        return made.state

    async def state(self, name: str) -> MapState:
        """How far the map is.

        Raises:
            UnknownCollection, CollectionUnavailable: see `Catalogue.get`.
            NotFound: none was begun.

        """
        return (await self._of(name)).state

    async def points(self, name: str, *, key: str | None = None) -> MapPoints:
        """The map as it is now, with the values of a payload key.

        Raises:
            UnknownCollection, CollectionUnavailable: see `Catalogue.get`.
            NotFound: there is no map that is done.

        """
        made = await self._of(name)
        if made.state.state != "done":
            raise NotFound(f"the map of collection {name} is {made.state.state}, not done", param="name")
        return await asyncio.to_thread(made.points, key)

    async def drop(self, collection: Collection) -> bool:
        """Leave nothing of a map, which is made of vectors; say whether there was one.

        Raises:
            StorageFailed: the disk refuses.

        """
        made = await self._known(collection)
        await asyncio.to_thread((made or _Map(collection)).drop)
        if self._maps.get(collection.spec.name) is made:
            self._maps.pop(collection.spec.name, None)
        return made is not None

    async def settled(self) -> None:
        """Wait until no map is being made."""
        await asyncio.gather(*self._jobs)

    async def close(self) -> None:
        """End what is under way."""
        for made in self._maps.values():
            made.is_dropped = True
        await self.settled()

    async def _of(self, name: str) -> _Map:
        made = await self._known(self._catalogue.get(name))
        if made is None:
            raise NotFound(f"collection {name} has no map; POST /v1/collections/{name}/map makes one", param="name")
        return made

    async def _known(self, collection: Collection) -> _Map | None:
        """The map in memory, or else on the disk."""
        name = collection.spec.name
        made = self._maps.get(name)
        if made is not None and made.collection is collection:
            return made
        stored = await asyncio.to_thread(load_map, collection.folder, collection.spec.store_id)
        if stored is None:
            return None
        rows = len(stored.sequences)
        kept = _Map(collection, MapState("done", rows, rows), stored)
        return self._maps.setdefault(name, kept) if made is None else kept


def _make(made: _Map) -> None:
    try:
        made.make()
    except _Dropped:
        made.state.state, made.state.error = "failed", "items were forgotten meanwhile, or the server stops"
    except SimilaError as error:
        made.state.state, made.state.error = "failed", error.message
    except Exception:
        made.state.state, made.state.error = "failed", "the server failed; its log says why"
        logger.exception("the map of collection %s", made.collection.spec.name)


def _points(stored: StoredMap, collection: Collection, key: str | None) -> MapPoints:
    rows = {}
    for start in range(0, len(stored.sequences), _CHUNK_ROWS):
        rows.update(collection.reader.by_sequence(stored.sequences[start : start + _CHUNK_ROWS]))
    there = np.isin(stored.sequences, np.fromiter(rows, np.int64, len(rows)))
    shown = [rows[sequence] for sequence in stored.sequences[there].tolist()]
    return MapPoints(
        [row.id for row in shown],
        [row.label for row in shown],
        stored.places[there],
        stored.clusters[there],
        stored.cosines[there] if len(stored.sequences) <= MOST_COMPARED else None,
        None if key is None else [(row.payload or {}).get(key) for row in shown],
    )
