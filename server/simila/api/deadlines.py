"""Requests that nobody waits for any longer: the time is over, or the client has left."""

import asyncio
import math
from asyncio import Task, Timeout, TimerHandle
from collections.abc import Iterable

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simila.api.errors import error_response
from simila.domain.errors import DeadlineExceeded, InvalidInput

HEADER = "X-Request-Timeout"
RAW_HEADER = HEADER.lower().encode()
# The ends of paths over which whole collections go: how long that takes is a matter of their size.
UNLIMITED = ("/backup", "/export")
# A request that is answered sooner is not watched: watching costs as much as a small request's own way through HTTP.
UNWATCHED_SECONDS = 0.1


class Deadline:
    """Cancel a request that has no answer yet when its deadline passes (504) or its client leaves.

    The deadline is the client's, from `X-Request-Timeout`, or else `default_seconds`; where whole collections are sent,
    it is the client's or none. Cancelling reaches whatever the request awaits: its rows leave the queue, and a write
    that a worker thread has begun is finished by that thread.
    """

    def __init__(self, app: ASGIApp, default_seconds: float) -> None:
        self._app = app
        self._default_seconds = default_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            seconds = _requested_seconds(scope["headers"]) or self._default_seconds_of(scope["path"])
        except InvalidInput as error:
            await error_response(error)(scope, receive, send)
            return
        exchange = _Exchange(receive, send)
        try:
            async with asyncio.timeout(None) as exchange.limit:
                exchange.limit_to(seconds)
                await self._app(scope, exchange.receive, exchange.send)
        except (TimeoutError, ClientDisconnect):
            if exchange.client_left:
                return
            if not exchange.limit.expired() or seconds is None:
                raise
            await error_response(_too_late(seconds))(scope, receive, send)
        finally:
            exchange.stop_watching()

    def _default_seconds_of(self, path: str) -> float | None:
        return None if path.endswith(UNLIMITED) else self._default_seconds


class _Exchange:
    """One request's messages, watched from soon after its head to the beginning of its answer.

    Until then there is a timer and nothing else: neither a deadline, unless it is sooner, nor a task that waits for the
    client to leave, which begins with the end of the body.
    """

    limit: Timeout
    _timer: TimerHandle
    _watcher: Task[None] | None = None
    _is_watched = False
    _has_whole_body = False

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.client_left = False

    def limit_to(self, seconds: float | None) -> None:
        """Let the deadline be so many seconds from now, or never."""
        loop = asyncio.get_running_loop()
        ends_at = None if seconds is None else loop.time() + seconds
        self._timer = loop.call_later(min(seconds or math.inf, UNWATCHED_SECONDS), self._start_watching, ends_at)

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.client_left = True
        elif not message.get("more_body", False):
            self._has_whole_body = True
            self._watch_client()
        return message

    async def send(self, message: Message) -> None:
        if self.client_left:
            return
        if message["type"] == "http.response.start":
            self.stop_watching()
            if self._is_watched:
                self.limit.reschedule(None)
        await self._send(message)

    def stop_watching(self) -> None:
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()

    def _start_watching(self, ends_at: float | None) -> None:
        self._is_watched = True
        self.limit.reschedule(ends_at)
        self._watch_client()

    def _watch_client(self) -> None:
        if self._is_watched and self._has_whole_body and self._watcher is None:
            self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        message = await self._receive()
        if message["type"] == "http.disconnect" and not self.limit.expired():
            self.client_left = True
            self.limit.reschedule(0)


def _requested_seconds(headers: Iterable[tuple[bytes, bytes]]) -> float | None:
    """The client's own deadline.

    Raises:
        InvalidInput: it is no positive number.

    """
    for name, value in headers:
        if name == RAW_HEADER:
            try:
                seconds = float(value)
            except ValueError:
                seconds = math.nan
            if not 0 < seconds < math.inf:
                given = value.decode("latin-1")
                raise InvalidInput(f"{HEADER} is '{given}', not a positive number of seconds", param=HEADER)
            return seconds
    return None


def _too_late(seconds: float) -> DeadlineExceeded:
    return DeadlineExceeded(
        f"the request was not done within {seconds:g} s; give it more time with the header {HEADER}"
        " or SIMILA_REQUEST_TIMEOUT_SECONDS"
    )
