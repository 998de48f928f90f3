"""The items of a collection in the order of their likeness to a query, as many as one asks for."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from simila.domain.results import Hit
from simila.index.collection import Collection, SearchQuery
from simila.index.filtered_search import FilterAccount
from simila.index.view import SearchAccount
from simila.services.query_vectors import QueryVector
from simila.services.search_queue import SearchQueue
from simila.storage.where import Where


@dataclass(frozen=True)
class IndexUse:
    """How the index was searched: the last time, where it was searched again to find enough."""

    account: SearchAccount
    filter_account: FilterAccount | None
    searches: int
    seconds: float  # of all searches together


class RankedItems:
    """The items that are most like a query, among those that match and have a score of `least_score` or more."""

    def __init__(
        self,
        collection: Collection,
        queue: SearchQueue,
        query: QueryVector,
        *,
        where: Where | None = None,
        exact: bool = False,
        least_score: float | None = None,
    ) -> None:
        self._collection = collection
        self._queue = queue
        self._query = query
        self._where = where
        self._exact = exact
        self._least_score = least_score
        self.use: IndexUse | None = None

    async def top(self, count: int, where: Where | None = None) -> Sequence[Hit]:
        """The first `count` that match `where` too, the nearest first; fewer only if there are no more."""
        query = SearchQuery(
            self._query.vector[None],
            count,
            where=all_of(self._where, where),
            excluded_ids=self._query.stored_ids,
            exact=self._exact,
        )
        began = time.perf_counter()
        result = await self._queue.search(self._collection, query)
        seconds = time.perf_counter() - began
        before = self.use or IndexUse(result.account, None, 0, 0.0)
        self.use = IndexUse(result.account, result.filter_account, before.searches + 1, before.seconds + seconds)
        return near_enough(result.hits[0], self._least_score)


def near_enough(hits: Sequence[Hit], least_score: float | None) -> Sequence[Hit]:
    return hits if least_score is None else [hit for hit in hits if hit.score >= least_score]


def all_of(*conditions: Where | None) -> Where | None:
    """The condition that all hold; None, which every item meets, where none is given."""
    given = [condition for condition in conditions if condition]
    if len(given) < 2:
        return given[0] if given else None
    sql = " AND ".join(condition.sql for condition in given)
    return Where(f"({sql})", tuple(parameter for condition in given for parameter in condition.parameters))
