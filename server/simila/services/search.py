"""Use case: what is most like this?"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from simila.domain.errors import LimitExceeded, SimilaError
from simila.engine.model_pool import ModelPool
from simila.index.catalogue import Catalogue
from simila.index.collection import Collection
from simila.index.filters import compile_filter
from simila.services.embedding import OnError, name_failures
from simila.services.grouping import GroupKey
from simila.services.paging import Cursor
from simila.services.query_vectors import QueryVectors, spelt_out
from simila.services.search_queue import SearchQueue
from simila.services.search_results import Found, find
from simila.services.search_terms import Search, UnderstoodSearch
from simila.services.source_vectors import SourceVectors
from simila.storage.where import Where


@dataclass(frozen=True)
class SearchLimits:
    """The most of each: results of one search, searches of one batch, results on all pages of a search."""

    results: int
    searches: int
    paged_results: int


class SearchService:
    """Searches collections by texts, images, vectors, stored items, and by several of them together."""

    def __init__(self, pool: ModelPool, catalogue: Catalogue, queue: SearchQueue, limits: SearchLimits) -> None:
        self._query_vectors = QueryVectors(SourceVectors(pool))
        self._catalogue = catalogue
        self._queue = queue
        self._limits = limits

    async def search(self, name: str, search: Search) -> Found:
        """The items most like the query; stored items of the query are not among them.

        Raises:
            InvalidInput: the filter, a key or the cursor is malformed, or the query has no direction.
            LimitExceeded: more results are asked for than the server allows.
            UnknownItem, InvalidVector, …: see `QueryVectors.of`.

        """
        collection = self._catalogue.get(name)
        return await find(collection, await self._understood(collection, search), self._queue)

    async def search_all(
        self, name: str, searches: Sequence[Search | SimilaError], on_error: OnError
    ) -> list[Found | SimilaError]:
        """Search for all side by side. One that could not be read is given as its error.

        When `on_error` is "partial" and a search succeeds, the errors of the others stand in their places.

        Raises:
            LimitExceeded: too many searches.
            SimilaError: as `search`, naming each search that fails.

        """
        if len(searches) > self._limits.searches:
            most = self._limits.searches
            message = f"{len(searches)} searches are more than the limit of {most} (SIMILA_LIMITS__MAX_SEARCHES)"
            raise LimitExceeded(message, param="searches")
        collection = self._catalogue.get(name)
        understood = await asyncio.gather(*(self._understood_or_error(collection, search) for search in searches))
        failures = {position: each for position, each in enumerate(understood) if isinstance(each, SimilaError)}
        if failures and (on_error == "fail" or len(failures) == len(searches)):
            raise name_failures(failures, [f"searches[{position}]" for position in range(len(searches))])
        return await asyncio.gather(*(self._found(collection, each) for each in understood))

    async def _found(self, collection: Collection, search: UnderstoodSearch | SimilaError) -> Found | SimilaError:
        return search if isinstance(search, SimilaError) else await find(collection, search, self._queue)

    def close(self) -> None:
        """Finish the searches that run, and cancel those that wait."""
        self._queue.close()

    async def _understood_or_error(
        self, collection: Collection, search: Search | SimilaError
    ) -> UnderstoodSearch | SimilaError:
        if isinstance(search, SimilaError):
            return search
        try:
            return await self._understood(collection, search)
        except SimilaError as error:
            return error

    async def _understood(self, collection: Collection, search: Search) -> UnderstoodSearch:
        self._check_results(search)
        place, cursor = search.place, None
        where = None if search.filter is None else compile_filter(search.filter, f"{place}filter")
        group_key = None if search.group_by is None else GroupKey(search.group_by, f"{place}group_by")
        digest = _digest(collection, search, where)
        if search.after is not None:
            cursor = Cursor.decode(search.after, digest, f"{place}after")
            self._check_depth(cursor.shown + search.limit, f"{place}after")
        query = await self._query_vectors.of(collection, search.query, place.rstrip("."))
        return UnderstoodSearch(search, query, digest, where, cursor, group_key)

    def _check_results(self, search: Search) -> None:
        self._check_most(search.limit, f"{search.place}limit")
        if search.group_by is not None:
            self._check_most(search.limit * search.group_size, f"{search.place}group_size", "limit times group_size")
        if search.diversity:
            self._check_most(search.diversity.candidates or 0, f"{search.place}diversity.candidates")

    def _check_most(self, asked: int, param: str, what: str | None = None) -> None:
        most = self._limits.results
        if asked > most:
            message = f"{what or param} is {asked}, more than the most allowed, {most}"
            raise LimitExceeded(f"{message} (SIMILA_LIMITS__MAX_SEARCH_RESULTS)", param=param)

    def _check_depth(self, results: int, param: str) -> None:
        most = self._limits.paged_results
        if results > most:
            message = f"{param}: all pages of a search hold {most} results at most (SIMILA_LIMITS__MAX_PAGED_RESULTS)"
            raise LimitExceeded(f"{message}; scroll reads every item that matches a filter", param=param)


def _digest(collection: Collection, search: Search, where: Where | None) -> str:
    """The same for all pages of a search, whose vector may come out a little different each time."""
    parts = (collection.spec.store_id.encode(), spelt_out(search.query), repr(where).encode())
    return hashlib.blake2b(b"".join(parts), digest_size=9).hexdigest()
