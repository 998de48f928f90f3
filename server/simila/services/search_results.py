"""From understood searches to what they find in a collection."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from simila.domain.results import Hit
from simila.domain.vectors import Float32
from simila.index.body import Measured
from simila.index.collection import Collection, SearchQuery
from simila.services.diversity import diverse
from simila.services.grouping import Group, nearest_groups
from simila.services.paging import Cursor, page_after
from simila.services.ranked_items import IndexUse, RankedItems, near_enough
from simila.services.search_queue import SearchQueue
from simila.services.search_terms import UnderstoodSearch

_CANDIDATES_PER_RESULT = 4


@dataclass(frozen=True)
class Found:
    """The hits of a search, or its groups, and the cursor of the page after them, if there may be more.

    `vectors` are by sequence, `float32 [d], unit length`; an item that was deleted meanwhile has none.
    """

    hits: Sequence[Hit]
    use: IndexUse
    measured: Measured | None  # what the collection's index did on held-out queries
    groups: Sequence[Group] | None = None
    next: str | None = None
    vectors: Mapping[int, Float32] = field(default_factory=dict)


async def find(collection: Collection, search: UnderstoodSearch, queue: SearchQueue) -> Found:
    """Find what a search is after."""
    return await (_plain if search.is_plain else _composed)(collection, search, queue)


async def _plain(collection: Collection, search: UnderstoodSearch, queue: SearchQueue) -> Found:
    """One look into the index."""
    terms = search.terms
    wanted = terms.limit + 1  # one more tells whether another page follows
    query = SearchQuery(search.query.vector[None], wanted, search.where, search.query.stored_ids, terms.exact)
    began = time.perf_counter()
    result = await queue.search(collection, query)
    use = IndexUse(result.account, result.filter_account, 1, time.perf_counter() - began)
    found = near_enough(result.hits[0], terms.score_threshold)
    hits = found[: terms.limit]
    following = Cursor.after_first(search.digest, result.newest, hits).encode() if len(found) == wanted else None
    vectors = await asyncio.to_thread(_vectors, collection, hits) if terms.with_vectors else {}
    return Found(hits, use, collection.measured, next=following, vectors=vectors)


async def _composed(collection: Collection, search: UnderstoodSearch, queue: SearchQueue) -> Found:
    """A later page, groups, or diverse results: more than one look into the index."""
    terms, items = search.terms, search.items(collection, queue)
    groups, following = None, None
    hits: Sequence[Hit]
    if search.group_key:
        groups = await nearest_groups(items, search.group_key, limit=terms.limit, size=terms.group_size)
        hits = [hit for group in groups for hit in group.hits]
    elif search.cursor:
        hits, cursor = await page_after(search.cursor, items, terms.limit)
        following = cursor.encode() if cursor else None
    else:
        hits = await _diverse(collection, search, items)
    vectors = await asyncio.to_thread(_vectors, collection, hits) if terms.with_vectors else {}
    assert items.use
    return Found(hits, items.use, collection.measured, groups, following, vectors)


async def _diverse(collection: Collection, search: UnderstoodSearch, items: RankedItems) -> list[Hit]:
    diversity, limit = search.terms.diversity, search.terms.limit
    assert diversity
    candidates = await items.top(diversity.candidates or _CANDIDATES_PER_RESULT * limit)

    def chosen() -> list[Hit]:
        vectors = _vectors(collection, candidates)
        there = [hit for hit in candidates if hit.sequence in vectors]
        if not there:
            return []
        matrix = np.stack([vectors[hit.sequence] for hit in there])
        rows = diverse(matrix, [hit.score for hit in there], limit, diversity.relevance)
        return [there[row] for row in rows]

    return await asyncio.to_thread(chosen)


def _vectors(collection: Collection, hits: Sequence[Hit]) -> dict[int, Float32]:
    sequences, vectors = collection.reader.vectors(np.array([hit.sequence for hit in hits], np.int64))
    return dict(zip(sequences.tolist(), vectors, strict=True))
