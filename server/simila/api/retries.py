"""Clients that ask again at once when they were told to come back later."""

import asyncio
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HELD_SECONDS = 1.0
MOST_HELD_SECONDS = 2.0
# To refuse so many again, or so much, takes a few hundredths of a core, however many there are: what a client has begun
# to send is read before it is answered, because many look for no answer until all is sent.
TURNS_A_SECOND = 100.0
BYTES_A_SECOND = 4e6

_Asked = tuple[tuple[str, int], str]  # the connection's address, and the path


class HeldRetries:
    """Let a request that comes before its `Retry-After` has passed wait for the rest of it, or for a second of it.

    A refusal is cheap, but clients that ask again at once make so many that the admitted requests lack the cores. For
    the same reason those that come early are let in one after the other, `TURNS_A_SECOND` of them and fewer where their
    bodies are large, unless one would wait longer than `MOST_HELD_SECONDS`. Only the same path on the same connection
    waits, so who keeps to `Retry-After`, or asks something else, never does.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._welcome_at: dict[_Asked, float] = {}
        self._last_turn_at = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope.get("client"):
            await self._app(scope, receive, send)
            return
        asked = (scope["client"], scope["path"])
        if asked in self._welcome_at:
            await asyncio.sleep(self._seconds_until_turn(self._welcome_at[asked], _declared_bytes(scope)))

        async def noting(message: Message) -> None:
            if message.get("status") == HTTPStatus.TOO_MANY_REQUESTS:
                self._refused(asked, _retry_after_seconds(message))
            await send(message)

        await self._app(scope, receive, noting)

    def _seconds_until_turn(self, welcome_at: float, body_bytes: int) -> float:
        now = asyncio.get_running_loop().time()
        turn_at = max(welcome_at, self._last_turn_at + 1 / TURNS_A_SECOND + body_bytes / BYTES_A_SECOND)
        self._last_turn_at = min(turn_at, now + MOST_HELD_SECONDS)
        return self._last_turn_at - now

    def _refused(self, asked: _Asked, retry_after_seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._welcome_at[asked] = welcome_at = loop.time() + min(retry_after_seconds, HELD_SECONDS)
        loop.call_at(welcome_at, self._forget, asked, welcome_at)

    def _forget(self, asked: _Asked, welcome_at: float) -> None:
        if self._welcome_at.get(asked) == welcome_at:  # else it was refused again since
            del self._welcome_at[asked]


def _declared_bytes(scope: Scope) -> int:
    """The length of the body, or nothing where none is declared that could be one."""
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    return int(length) if length.isdigit() else 0


def _retry_after_seconds(refusal: Message) -> float:
    return next(float(value) for name, value in refusal["headers"] if name == b"retry-after")
