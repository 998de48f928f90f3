"""Clients that ask again at once when they were told to come back later."""

import asyncio
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_HELD_SECONDS = 1.0

_Asked = tuple[tuple[str, int], str]  # the connection's address, and the path


class HeldRetries:
    """Let a request that comes before its `Retry-After` has passed wait for the rest of it, for a second at most.

    A refusal is cheap, but clients that ask again at once make so many that the admitted requests lack the cores. Only
    the same path on the same connection waits, so who keeps to `Retry-After`, or asks something else, never does.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._welcome_at: dict[_Asked, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope.get("client"):
            await self._app(scope, receive, send)
            return
        asked = (scope["client"], scope["path"])
        if asked in self._welcome_at:
            await asyncio.sleep(self._welcome_at[asked] - asyncio.get_running_loop().time())

        async def noting(message: Message) -> None:
            if message.get("status") == HTTPStatus.TOO_MANY_REQUESTS:
                self._refused(asked, float(Headers(raw=message["headers"])["retry-after"]))
            await send(message)

        await self._app(scope, receive, noting)

    def _refused(self, asked: _Asked, retry_after_seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._welcome_at[asked] = welcome_at = loop.time() + min(retry_after_seconds, MOST_HELD_SECONDS)
        loop.call_at(welcome_at, self._forget, asked, welcome_at)

    def _forget(self, asked: _Asked, welcome_at: float) -> None:
        if self._welcome_at.get(asked) == welcome_at:  # else it was refused again since
            del self._welcome_at[asked]
