"""Where code meets whoever traces requests, if somebody does: it tells of phases, and asks what to send along."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Tracer(Protocol):
    """Who traces."""

    def phases(self, encoder: str, tower: str, seconds: Mapping[str, float]) -> None:
        """Be told of the seconds of each phase of the request at hand that has just ended, in their order."""
        ...

    def outgoing(self) -> Mapping[str, str]:
        """The headers by which another server continues the trace of the request at hand; none without one."""
        ...


_tracers: list[Tracer] = []
_carried: ContextVar[Mapping[str, str] | None] = ContextVar("carried", default=None)


def add_tracer(tracer: Tracer) -> None:
    _tracers.append(tracer)


def remove_tracer(tracer: Tracer) -> None:
    _tracers.remove(tracer)


def record_phases(encoder: str, tower: str, seconds: Mapping[str, float]) -> None:
    """Tell whoever traces of phases, one after the other, of which the last ends now."""
    for tracer in _tracers:
        tracer.phases(encoder, tower, seconds)


def outgoing_headers() -> Mapping[str, str]:
    """What to send along with what the request at hand asks of another server: nothing, if nobody traces."""
    carried = _carried.get()
    if carried is not None:
        return carried
    return next((headers for tracer in _tracers if (headers := tracer.outgoing())), {})


@contextmanager
def carrying(headers: Mapping[str, str]) -> Iterator[None]:
    """Let `outgoing_headers` be these while the block runs: of a request that another thread works for."""
    token = _carried.set(headers)
    try:
        yield
    finally:
        _carried.reset(token)
