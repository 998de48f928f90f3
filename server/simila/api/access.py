"""API keys at the door of HTTP: who calls, and what the call uses."""

from contextvars import ContextVar
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simila.api.doorkeeper import Doorkeeper, bearer
from simila.api.errors import error_response
from simila.api.scopes import need_of
from simila.domain.access import ApiKey
from simila.domain.errors import Forbidden, SimilaError, Unauthorized


@dataclass
class _Call:
    """A request with a key, and what it has used so far."""

    key: ApiKey
    items: int = 0
    body_bytes: int = 0


_call: ContextVar[_Call | None] = ContextVar("call", default=None)


def count_items(items: int) -> None:
    """Charge inputs or items to the key of the request at hand, if it has one."""
    if call := _call.get():
        call.items += items


def count_bytes(size_bytes: int) -> None:
    """Charge bytes that the request at hand has had fetched, as if it had sent them."""
    if call := _call.get():
        call.body_bytes += size_bytes


def check_collection(name: str) -> None:
    """Let the request at hand use a collection that its body names; the path's was checked before.

    Raises:
        Forbidden: it is not one of its key's.

    """
    if (call := _call.get()) and not call.key.may_use(name):
        raise Forbidden(f"the key {call.key.id} is not for the collection '{name}'", param="collection")


def may_see(name: str) -> bool:
    """Whether a list shows a collection to the request at hand."""
    call = _call.get()
    return call is None or call.key.may_use(name)


class KeyHolders:
    """Let requests through whose `Authorization: Bearer …` or `api-key` header is a key that allows them."""

    def __init__(self, app: ASGIApp, door: Doorkeeper) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            key = self._door.admitted(_sent_key(scope), need_of(scope["method"], scope["path"]))
        except SimilaError as error:
            await _refuse(error, scope, receive, send)
            return
        if key is None:
            await self._app(scope, receive, send)
            return
        call = _Call(key)

        async def counted() -> Message:
            message = await receive()
            call.body_bytes += len(message.get("body", b""))
            return message

        token = _call.set(call)
        try:
            await self._app(scope, counted, send)
        finally:
            _call.reset(token)
            self._door.charge(key, items=call.items, body_bytes=call.body_bytes)


def _sent_key(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"authorization" and (key := bearer(value.decode("latin-1"))):
            return key
        if name == b"api-key":
            return str(value.strip().decode("latin-1"))
    return None


async def _refuse(error: SimilaError, scope: Scope, receive: Receive, send: Send) -> None:
    response = error_response(error)
    if isinstance(error, Unauthorized):
        response.headers["WWW-Authenticate"] = "Bearer"
    await response(scope, receive, send)
