"""The rows that wait for a tower, and which of them go together next."""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from simila.engine.pending_request import PendingRequest

Row = TypeVar("Row")

# Short rows may be padded by this much whatever the share: a batch of its own would cost more.
FREE_PADDING = 16
MOST_PADDING_SHARE = 0.25


@dataclass(frozen=True)
class BatchLimits:
    """A batch holds at most `items` rows, and at most `padded_length` when each counts as long as the longest.

    To begin one costs as much as `start_length`; None where nobody knows.
    """

    items: int
    padded_length: int
    start_length: int | None = None

    def take_one_more(self, rows: int, longest: int, length: int, one_more: int) -> bool:
        """Whether so many rows, `length` together, may be joined by one of length `one_more`."""
        padded, longest_with = rows * longest, max(longest, one_more)
        padded_with, length_with = (rows + 1) * longest_with, length + one_more
        if rows >= self.items or padded_with > self.padded_length:
            return False
        start = self.start_length
        if start is not None and (start + padded_with) * length > (start + padded) * length_with:
            return False  # a unit of length would get dearer
        return padded_with - length_with <= FREE_PADDING + MOST_PADDING_SHARE * length_with


@dataclass(slots=True, eq=False)
class WaitingRow(Generic[Row]):
    row: Row
    length: int
    request: PendingRequest
    position: int
    is_taken: bool = False


class WaitingRows(Generic[Row]):
    """Rows by request, for fairness, and by length, for speed.

    Each batch begins with the oldest row of the next request in turn, so a request of one row is never behind all the
    rows of a large one, and a long text is never passed over. Rows nearest to it in length fill the batch, because a
    batch costs as much as if each of its rows were as long as the longest. Not thread-safe.
    """

    def __init__(self) -> None:
        self._turns: deque[tuple[PendingRequest, deque[WaitingRow[Row]]]] = deque()
        self._by_length: dict[int, deque[WaitingRow[Row]]] = {}
        self._lengths: list[int] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, request: PendingRequest, rows: Sequence[WaitingRow[Row]]) -> None:
        """Let the rows of one request wait behind those that do."""
        self._turns.append((request, deque(rows)))
        self._count += len(rows)
        for row in rows:
            if row.length not in self._by_length:
                self._by_length[row.length] = deque()
                insort(self._lengths, row.length)
            self._by_length[row.length].append(row)

    def take(self, limits: BatchLimits) -> list[WaitingRow[Row]]:
        """Take the next batch; empty if nobody waits. A row over the limits goes alone."""
        first = self._take_in_turn()
        if first is None:
            return []
        batch = [first]
        longest = total = first.length
        for row in self._nearest(first.length):
            if not limits.take_one_more(len(batch), longest, total, row.length):
                break
            self._take(row)
            batch.append(row)
            longest, total = max(longest, row.length), total + row.length
        return batch

    def take_all(self) -> list[WaitingRow[Row]]:
        """Take every row that waits."""
        taken = []
        while row := self._take_in_turn():
            taken.append(row)
        return taken

    def _take_in_turn(self) -> WaitingRow[Row] | None:
        while self._turns:
            request, rows = self._turns[0]
            while rows and (rows[0].is_taken or request.is_abandoned):
                self._take(rows.popleft())
            if rows:
                row = rows.popleft()
                self._take(row)
                self._turns.rotate(-1)
                return row
            self._turns.popleft()
        return None

    def _nearest(self, length: int) -> Iterator[WaitingRow[Row]]:
        """Waiting rows, nearest to `length` first, of one length the oldest first; take each before the next."""
        above = bisect_left(self._lengths, length)
        while above or above < len(self._lengths):
            upward = not above or (
                above < len(self._lengths) and self._lengths[above] - length <= length - self._lengths[above - 1]
            )
            nearest = above if upward else above - 1
            rows = self._by_length[self._lengths[nearest]]
            while rows and (rows[0].is_taken or rows[0].request.is_abandoned):
                self._take(rows.popleft())
            if rows:
                yield rows[0]
                continue
            del self._by_length[self._lengths.pop(nearest)]
            above = nearest

    def _take(self, row: WaitingRow[Row]) -> None:
        if not row.is_taken:
            row.is_taken = True
            self._count -= 1
