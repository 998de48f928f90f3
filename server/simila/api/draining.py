"""Requests that come while the server shuts down."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simila.api.errors import error_response
from simila.domain.errors import ShuttingDown
from simila.services.drain import Drain

# Whoever watches the server asks these to the end.
WATCHED = frozenset(("/healthz", "/readyz", "/metrics"))


class Draining:
    """Refuses with 503 what comes after `drain` has begun, and closes its connection."""

    def __init__(self, app: ASGIApp, drain: Drain) -> None:
        self._app = app
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in WATCHED:
            await self._app(scope, receive, send)
            return
        try:
            with self._drain.admit():
                await self._app(scope, receive, self._closing(send))
        except ShuttingDown as error:
            await error_response(error)(scope, receive, self._closing(send))

    def _closing(self, send: Send) -> Send:
        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start" and self._drain.has_begun:
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        return closing
