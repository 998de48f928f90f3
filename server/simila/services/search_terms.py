"""What a search asks for, as it came and once it is understood."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simila.index.collection import Collection
from simila.services.diversity import Diversity
from simila.services.grouping import GroupKey
from simila.services.paging import Cursor
from simila.services.query_vectors import QueryVector, WeightedExample
from simila.services.ranked_items import RankedItems
from simila.services.search_queue import SearchQueue
from simila.storage.where import Where


@dataclass(frozen=True)
class Search:
    """What is looked for. `filter` is as it came; `place` goes before the names of its parts in messages."""

    query: Sequence[WeightedExample]
    limit: int
    filter: Any = None
    score_threshold: float | None = None
    exact: bool = False
    after: str | None = None
    group_by: str | None = None
    """A payload key, dotted, or `$label`; `limit` then counts groups, of up to `group_size` items each."""
    group_size: int = 1
    diversity: Diversity | None = None
    with_vectors: bool = False
    place: str = ""


@dataclass(frozen=True)
class UnderstoodSearch:
    """A search whose query is a vector and whose filter is a condition."""

    terms: Search
    query: QueryVector
    digest: str  # of what is searched for; pages of the same search share it
    where: Where | None = None
    cursor: Cursor | None = None
    group_key: GroupKey | None = None

    @property
    def is_plain(self) -> bool:
        """Whether one call of the index answers it."""
        return not (self.cursor or self.group_key or self.terms.diversity)

    def items(self, collection: Collection, queue: SearchQueue) -> RankedItems:
        terms = self.terms
        return RankedItems(
            collection, queue, self.query, where=self.where, exact=terms.exact, least_score=terms.score_threshold
        )
