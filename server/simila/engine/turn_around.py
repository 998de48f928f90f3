"""From the answers of one batch to the rows of the next."""

import asyncio
import threading

# From a vector to its answer, its client's next request and the row of that, the event loop takes some turns; most are
# empty, and take two microseconds.
QUIET_TURNS = 20


class TurnAround:
    """Whether an event loop still has to do with answers that may bring their clients' next requests.

    That is over when the loop has had `QUIET_TURNS` turns in which no row came; `changed` is notified then. `begin` and
    `row_came` are called with `changed` held, from any thread; `follow` in the loop, once for each `begin`.
    """

    def __init__(self, changed: threading.Condition) -> None:
        self._changed = changed
        self._under_way = 0
        self._rows_came = 0

    def __bool__(self) -> bool:
        return self._under_way > 0

    def begin(self) -> None:
        self._under_way += 1

    def row_came(self) -> None:
        self._rows_came += 1

    def follow(self, loop: asyncio.AbstractEventLoop) -> None:
        self._turn(loop, self._rows_came, QUIET_TURNS)

    def end(self) -> None:
        with self._changed:
            self._under_way -= 1
            self._changed.notify()

    def _turn(self, loop: asyncio.AbstractEventLoop, rows_came: int, turns_left: int) -> None:
        if rows_came != self._rows_came:
            rows_came, turns_left = self._rows_came, QUIET_TURNS
        if turns_left:
            loop.call_soon(self._turn, loop, rows_came, turns_left - 1)
        else:
            self.end()
