"""uvicorn, which stops in order: readiness turns red, what was taken on is finished, then the port is closed."""

import math
import os
from time import monotonic
from types import FrameType

import uvicorn

from simila.services.drain import Drain

# For answers on their way to slow clients, once every request is done.
LEAST_CLOSING_SECONDS = 1


class DrainingServer(uvicorn.Server):
    """Begins `drain` at the first signal and ends the process at the second.

    Until the requests under way are done, or `grace_seconds` are over, the port stays open: whoever asks `/readyz` is
    told 503, where a closed port would look like a crash. What is not done by then is cancelled. `run` returns, so that
    the process ends with 0.
    """

    def __init__(self, config: uvicorn.Config, drain: Drain, *, grace_seconds: float) -> None:
        super().__init__(config)
        self._drain = drain
        self._grace_seconds = grace_seconds
        self._cancel_at = math.inf

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  a signal handler's signature
        if self._drain.has_begun:
            os._exit(128 + sig)
        self._cancel_at = monotonic() + self._grace_seconds
        self._drain.begin()

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._is_drained()

    def _is_drained(self) -> bool:
        if not self._drain.has_begun or (self._drain.in_flight and monotonic() < self._cancel_at):
            return False
        left_seconds = math.ceil(self._cancel_at - monotonic())
        self.config.timeout_graceful_shutdown = max(LEAST_CLOSING_SECONDS, left_seconds)
        return True
