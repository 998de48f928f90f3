"""Use case: can this server answer right now?"""

import asyncio
from dataclasses import dataclass

from simila.domain.errors import Overloaded, SimilaError
from simila.engine.model_pool import LoadState, ModelPool


@dataclass(frozen=True)
class Readiness:
    """The state of each encoder, or what keeps it from answering; one that was unloaded need not answer."""

    encoders: dict[str, str]

    @property
    def is_ready(self) -> bool:
        return all(state in (READY, *AWAY) for state in self.encoders.values())


READY = "ready"
AWAY = (LoadState.UNLOADING, LoadState.UNLOADED)


class ReadinessService:
    """Ready means that every encoder has just embedded something: a canary or, if it is too busy, real work."""

    def __init__(self, pool: ModelPool, *, timeout_seconds: float = 10.0) -> None:
        self._pool = pool
        self._timeout_seconds = timeout_seconds

    async def check(self) -> Readiness:
        names = [status.manifest.name for status in self._pool.statuses()]
        states = await asyncio.gather(*(self._check_one(name) for name in names))
        return Readiness(dict(zip(names, states, strict=True)))

    async def _check_one(self, name: str) -> str:
        state = self._pool.status(name).state
        if state in AWAY:
            return state
        try:
            encoder = self._pool.get(name)
            async with asyncio.timeout(self._timeout_seconds):
                await encoder.check_alive()
        except (TimeoutError, Overloaded):
            if encoder.seconds_since_batch() > self._timeout_seconds:
                return f"nothing embedded for {self._timeout_seconds:g} s"
        except SimilaError as error:
            return error.message
        return READY
