"""An event loop whose clock passes at once: what waits for a time has come waits for nothing else."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _ClockSelector(selectors.DefaultSelector):
    """Instead of waiting for a timer, sets the clock to it."""

    now_seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0 if timeout else timeout)
        if timeout and not ready:
            self.now_seconds += timeout
        return ready


class _VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _ClockSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now_seconds


def run_at_once(scenario: Coroutine[Any, Any, T]) -> T:
    """Run `scenario` on a clock that stands still while there is something to do, and else jumps to the next timer.

    For what runs in the event loop alone: no other thread or process is waited for while a timer is left.
    """
    with asyncio.Runner(loop_factory=_VirtualTimeLoop) as runner:
        return runner.run(scenario)
