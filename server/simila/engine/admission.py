"""How much work a tower takes on before it says no."""

from collections.abc import Iterator
from contextlib import contextmanager

from simila.domain.errors import Overloaded

# Weight of the newest batch in the running mean of the time that a unit of work takes.
SMOOTHING = 0.1
# Work that large requests have behind their fair share may take this many times as long.
BACKLOG_FACTOR = 10.0
SHORTEST_WAIT_SECONDS = 0.1


class Admission:
    """Counts the work in flight, in units of padded length, and refuses what would wait too long.

    Requests take turns, so a small request waits for `fair_share` units of each request before it, not for all that a
    large one has left. It is refused when that would take more than `most_wait_seconds`; any request is, when all the
    work in flight would take ten times as long. A tower without work takes on anything. Not thread-safe: requests come
    and go in the event loop; `measured` may be called from any thread.
    """

    def __init__(self, *, most_wait_seconds: float, fair_share: int, workers: int) -> None:
        self._most_wait_seconds = most_wait_seconds
        self._fair_share = fair_share
        self._workers = workers
        self._fair_units = 0
        self._all_units = 0
        self._seconds_per_unit = 0.0

    @property
    def units_in_flight(self) -> int:
        return self._all_units

    @contextmanager
    def admit(self, units: int) -> Iterator[None]:
        """Hold `units` of work while the block runs.

        Raises:
            Overloaded: too much work waits already.

        """
        self._refuse_if_full()
        fair_units = min(units, self._fair_share)
        self._fair_units += fair_units
        self._all_units += units
        try:
            yield
        finally:
            self._fair_units -= fair_units
            self._all_units -= units

    def measured(self, units: int, seconds: float) -> None:
        """Learn from a batch of `units` that ran for `seconds` in one of the workers."""
        seconds_per_unit = seconds / units / self._workers
        if self._seconds_per_unit:
            seconds_per_unit = self._seconds_per_unit + SMOOTHING * (seconds_per_unit - self._seconds_per_unit)
        self._seconds_per_unit = seconds_per_unit

    def _refuse_if_full(self) -> None:
        fair_wait_seconds = self._fair_units * self._seconds_per_unit
        backlog_seconds = self._all_units * self._seconds_per_unit
        too_long = max(
            fair_wait_seconds - self._most_wait_seconds, backlog_seconds - BACKLOG_FACTOR * self._most_wait_seconds
        )
        if too_long > 0:
            raise Overloaded(
                f"work for {fair_wait_seconds:.1f} s waits already; the limit is {self._most_wait_seconds:g} s"
                " (SIMILA_ENGINE__MAX_QUEUE_SECONDS)",
                retry_after_seconds=max(too_long, SHORTEST_WAIT_SECONDS),
            )
