"""Use case: can this server answer right now?"""

import asyncio
from dataclasses import dataclass

from simila.domain.errors import Overloaded, SimilaError
from simila.engine.model_pool import EncoderStatus, ModelPool
from simila.services.drain import Drain


@dataclass(frozen=True)
class Readiness:
    """The state of each encoder, or what keeps it from answering, and whether all answer that are expected to."""

    encoders: dict[str, str]
    is_ready: bool


READY = "ready"
SHUTTING_DOWN = "shutting down"


class ReadinessService:
    """Ready means that every encoder has just embedded something: a canary or, if it is too busy, real work.

    A server that shuts down is not ready.
    """

    def __init__(self, pool: ModelPool, drain: Drain | None = None, *, timeout_seconds: float = 10.0) -> None:
        self._pool = pool
        self._drain = drain or Drain()
        self._timeout_seconds = timeout_seconds

    async def check(self) -> Readiness:
        statuses = self._pool.statuses()
        if self._drain.has_begun:
            return Readiness({status.manifest.name: SHUTTING_DOWN for status in statuses}, is_ready=False)
        states = await asyncio.gather(*(self._check_one(status) for status in statuses))
        is_ready = all(state == READY for status, state in zip(statuses, states, strict=True) if status.is_expected)
        return Readiness(
            {status.manifest.name: state for status, state in zip(statuses, states, strict=True)}, is_ready
        )

    async def _check_one(self, status: EncoderStatus) -> str:
        if not status.is_expected:
            return status.state
        try:
            encoder = self._pool.get(status.manifest.name)
            async with asyncio.timeout(self._timeout_seconds):
                await encoder.check_alive()
        except (TimeoutError, Overloaded):
            if encoder.seconds_since_batch() > self._timeout_seconds:
                return f"nothing embedded for {self._timeout_seconds:g} s"
        except SimilaError as error:
            return error.message
        return READY
