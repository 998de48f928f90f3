"""Pages of a search that do not shift while items are written and deleted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import orjson
import pybase64

from simila.domain.errors import InvalidInput
from simila.domain.results import Hit
from simila.services.ranked_items import RankedItems
from simila.storage.where import Where

# The cosine of a pair moves in its last digits with the rows that it is computed beside.
_SAME_SCORE = 1e-5
# Twice it, lest one whose score is at the very edge be neither remembered nor above the edge in the next search.
_REMEMBERED = 2 * _SAME_SCORE
_INT64 = range(2**63)


@dataclass(frozen=True)
class Cursor:
    """Where a page ended.

    Items written after the first page, which are those of a sequence above `newest_sequence`, are on no later page.
    """

    search: str  # the digest of what is searched for
    newest_sequence: int
    shown: int  # items, on all pages so far
    score: float  # the lowest of them
    level: tuple[int, ...]  # the sequences of those of about this score

    @classmethod
    def after_first(cls, search: str, newest_sequence: int, hits: Sequence[Hit]) -> Self:
        last = hits[-1].score
        return cls(search, newest_sequence, len(hits), last, _level(hits, last))

    @classmethod
    def decode(cls, text: str, search: str, param: str) -> Self:
        """Read a cursor that a caller sends back.

        Raises:
            InvalidInput: it is none, or it is that of another search.

        """
        try:
            cursor = cls._of(orjson.loads(pybase64.b64decode(text, altchars=b"-_", validate=True)))
        except ValueError as error:
            raise InvalidInput(f"{param}: it is not the `next` of an answer", param=param) from error
        if cursor.search != search:
            message = f"{param}: the cursor is that of another query, filter or collection"
            raise InvalidInput(message, param=param)
        return cursor

    @classmethod
    def _of(cls, values: Any) -> Self:
        match values:
            case [str(search), int(newest), int(shown), float(score), list(level)]:
                if newest in _INT64 and shown in _INT64 and all(type(one) is int for one in level):
                    return cls(search, newest, shown, score, tuple(level))
        raise ValueError("not a cursor")

    def encode(self) -> str:
        values = [self.search, self.newest_sequence, self.shown, float(self.score), self.level]
        return pybase64.b64encode(orjson.dumps(values), altchars=b"-_").decode("ascii")

    def has_passed(self, hit: Hit) -> bool:
        """Whether it was on a page before, or would have been, had it been found then."""
        return hit.score > self.score + _SAME_SCORE or hit.sequence in self.level

    def advanced(self, hits: Sequence[Hit], page: Sequence[Hit]) -> "Cursor":
        """The cursor behind the next page, which was found among `hits`."""
        # A score that moved up must not raise the level: what is forgotten above it could then come again.
        lowest = min(self.score, page[-1].score)
        on_page = {hit.sequence for hit in page}
        passed = [hit for hit in hits if hit.sequence in on_page or self.has_passed(hit)]
        level = _level(passed, lowest)
        if self.score <= lowest + _REMEMBERED:
            # Among near-duplicates an item that was shown may rank below all of `hits`, and be found again by the next.
            found = {hit.sequence for hit in hits}
            level += tuple(sequence for sequence in self.level if sequence not in found)
        return Cursor(self.search, self.newest_sequence, self.shown + len(page), lowest, level)


async def page_after(cursor: Cursor, items: RankedItems, limit: int) -> tuple[Sequence[Hit], Cursor | None]:
    """The next `limit` items, and where they end; None if no item follows.

    FAISS cannot begin below a score, so a page is found by a search for all pages up to it.
    """
    count = cursor.shown + limit + 1  # one more tells whether another page follows
    written = Where("items.sequence <= ?", (cursor.newest_sequence,))
    while True:
        hits = await items.top(count, written)
        left = [hit for hit in hits if not cursor.has_passed(hit)]
        page = left[:limit]
        if len(left) > limit:
            return page, cursor.advanced(hits, page)
        if len(hits) < count:
            return page, None
        count *= 2


def _level(hits: Iterable[Hit], lowest: float) -> tuple[int, ...]:
    return tuple(hit.sequence for hit in hits if hit.score <= lowest + _REMEMBERED)
