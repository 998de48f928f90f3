"""Use case: what is most like this?"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from simila.domain.errors import LimitExceeded
from simila.domain.inputs import Source
from simila.domain.results import Hit
from simila.engine.model_pool import ModelPool
from simila.index.catalogue import Catalogue
from simila.index.collection import SearchQuery
from simila.services.collections import unknown_item
from simila.services.source_vectors import SourceVectors


@dataclass(frozen=True)
class StoredId:
    """A query: more like the item of this id."""

    id: str


class SearchService:
    """Searches collections by texts, images, vectors and stored items."""

    def __init__(self, pool: ModelPool, catalogue: Catalogue, *, most_results: int) -> None:
        self._source_vectors = SourceVectors(pool)
        self._catalogue = catalogue
        self._most_results = most_results

    async def search(
        self, name: str, query: Source | StoredId, *, limit: int, score_threshold: float | None = None
    ) -> Sequence[Hit]:
        """The items most like the query; a stored item is not among the items that are like it.

        Raises:
            LimitExceeded: `limit` is more than the server allows.
            UnknownItem: the query names an item that is not there.

        """
        if limit > self._most_results:
            most = self._most_results
            message = f"limit is {limit}, more than the most allowed, {most} (SIMILA_LIMITS__MAX_SEARCH_RESULTS)"
            raise LimitExceeded(message, param="limit")
        collection = self._catalogue.get(name)
        if isinstance(query, StoredId):
            stored = await asyncio.to_thread(collection.reader.get, query.id)
            if stored is None:
                raise unknown_item(name, query.id)
            search = SearchQuery(stored.item.vector[None], limit, excluded_ids=[query.id])
        else:
            vectors, _ = await self._source_vectors.of(collection.spec, [query], ["query"])
            search = SearchQuery(vectors, limit)
        (hits,) = (await asyncio.to_thread(collection.search, search)).hits
        return [hit for hit in hits if score_threshold is None or hit.score >= score_threshold]
