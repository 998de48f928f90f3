"""All that a search needs of a collection, as it was at one moment."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from simila.domain.vectors import Float32, Int64
from simila.index.body import Body
from simila.index.body_search import BodySearch, search_body
from simila.index.exact_search import exact_on
from simila.index.head import Head
from simila.index.neighbours import Neighbours
from simila.index.positions import positions_of
from simila.index.row_mask import RowMask
from simila.index.stored_vectors import StoredVectors

NO_SEQUENCES: Int64 = np.empty(0, np.int64)
_FEWEST_DEAD_ROWS = 1024


@dataclass(frozen=True)
class SearchAccount:
    """How a search was done."""

    kind: str  # "flat" or the kind of the body
    head_rows: int  # compared one by one
    body: BodySearch | None


@dataclass(frozen=True)
class View:
    """An immutable snapshot: a body, or none, the vectors since, and the rows of both that are not deleted.

    One thread at a time makes a new view of the newest one and publishes it by one assignment; any thread searches.
    """

    head: Head
    body: Body | None
    _head_mask: RowMask
    _body_mask: RowMask

    @classmethod
    def empty(cls, dimension: int) -> Self:
        return cls(Head(dimension), None, RowMask.all_of(0), RowMask.all_of(0))

    @classmethod
    def of_body(cls, body: Body, stored_sequences: Int64) -> Self:
        """A view of those rows of a loaded body that are stored still: `int64 [n]`, ascending."""
        mask = RowMask.only(positions_of(stored_sequences, body.sequences), len(body.sequences))
        return cls(Head(body.dimension), body, RowMask.all_of(0), mask)

    def __len__(self) -> int:
        return self._head_mask.count + self._body_mask.count

    @property
    def head_rows(self) -> int:
        """Vectors that each search compares one by one."""
        return self.head.rows

    @property
    def deleted_rows(self) -> int:
        """Rows of head and body that no search finds, and that the next build drops."""
        return self.head.rows + self._body_mask.rows - len(self)

    def sequences(self, after: int = 0) -> Int64:
        """Of all past `after` that can be found, `int64 [n]`, ascending."""
        found = self.head.sequences()[self._head_mask.positions()]
        if self.body is not None and self.body.sequences[-1] > after:
            found = np.sort(np.concatenate([self.body.sequences[self._body_mask.positions()], found]))
        return found[np.searchsorted(found, after, side="right") :]

    def with_changes(self, sequences: Int64, vectors: Float32, removed: Int64 = NO_SEQUENCES) -> "View":
        """The view with `float32 [n, d], unit length` added under `int64 [n]`, and then `int64 [m]` removed.

        Added sequences ascend, past all that were ever added; removed ones that are not here are passed over.
        """
        head = self.head.appended(sequences, vectors)
        leaving = np.unique(removed)
        head_mask = self._head_mask.longer(len(sequences)).without(head.positions(leaving))
        changed = replace(
            self, head=head, _head_mask=head_mask, _body_mask=self._body_mask.without(self._in_body(leaving))
        )
        dead = head_mask.rows - head_mask.count
        return (
            changed
            if dead <= max(_FEWEST_DEAD_ROWS, head_mask.count)
            else _with_head_rows(changed, head_mask.positions())
        )

    def with_body(self, body: Body) -> "View":
        """The view on a new body, which holds what the old one held, unless it was deleted.

        Rows of the head that the body holds leave the head. Rows of the body that are not in this view were deleted
        while it was built, so they are not found.
        """
        kept = self._head_mask.without(self.head.positions(body.sequences))
        mask = RowMask.only(positions_of(self.sequences(), body.sequences), len(body.sequences))
        return _with_head_rows(replace(self, body=body, _body_mask=mask), kept.positions())

    def search(
        self,
        queries: Float32,
        k: int,
        stored: StoredVectors,
        *,
        allowed: Int64 | None = None,
        excluded: Int64 = NO_SEQUENCES,
        exact: bool = False,
    ) -> tuple[Neighbours, SearchAccount]:
        """Find the k nearest of each query, or all that match if they are fewer, with their exact cosines.

        Args:
            queries: float32 [q, d], unit length.
            k: how many, at least 1.
            stored: has the vectors of the body; rows that it lacks are passed over.
            allowed: sequences that may be found, int64 [n], ascending; None for all.
            excluded: sequences that may not, int64 [m].
            exact: compare every vector that may be found.

        """
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        head_mask, body_mask = self._masks(allowed, excluded)
        if self.body is None or not body_mask.count or not len(queries):
            kind = self.body.recipe.kind if self.body else "flat"
            return self.head.search(queries, k, head_mask), SearchAccount(kind, self.head.rows, None)
        if exact:
            found, lacking = exact_on(self.body, queries, k, stored, body_mask)
            how = BodySearch(f"exact on {body_mask.count} stored vectors", 0, body_mask.count, lacking)
        else:
            found, how = search_body(self.body, queries, k, stored, body_mask)
        if head_mask.count:
            found = Neighbours.best([found, self.head.search(queries, k, head_mask)], k)
        return found, SearchAccount(self.body.recipe.kind, self.head.rows, how)

    def _masks(self, allowed: Int64 | None, excluded: Int64) -> tuple[RowMask, RowMask]:
        head, body = self._head_mask, self._body_mask
        if allowed is None and not len(excluded):
            return head, body
        excluded = np.unique(excluded)
        if allowed is not None:
            head = RowMask.only(head.having(self.head.positions(allowed)), head.rows)
            body = RowMask.only(body.having(self._in_body(allowed)), body.rows)
        return head.without(self.head.positions(excluded)), body.without(self._in_body(excluded))

    def _in_body(self, sequences: Int64) -> Int64:
        return NO_SEQUENCES if self.body is None else positions_of(sequences, self.body.sequences)


def _with_head_rows(view: View, positions: Int64) -> View:
    return replace(view, head=view.head.keeping(positions), _head_mask=RowMask.all_of(len(positions)))
