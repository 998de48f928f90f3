"""API keys at the door of HTTP: who calls, and what the call uses."""

from contextvars import ContextVar
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simila.api.doorkeeper import Doorkeeper, bearer
from simila.api.errors import error_response
from simila.api.scopes import need_of
from simila.domain.access import ApiKey
from simila.domain.errors import Forbidden, SimilaError, Unauthorized


@dataclass(frozen=True)
class Call:
    """A request with a key. What it uses is charged as it is used: calls that run side by side share the allowance."""

    key: ApiKey
    door: Doorkeeper

    def charge(self, *, items: int = 0, body_bytes: int = 0) -> None:
        self.door.charge(self.key, items=items, body_bytes=body_bytes)


current_call: ContextVar[Call | None] = ContextVar("current_call", default=None)


def count_items(items: int) -> None:
    """Charge inputs or items to the key of the request at hand, if it has one."""
    if call := current_call.get():
        call.charge(items=items)


def count_bytes(size_bytes: int) -> None:
    """Charge bytes that the request at hand has sent, or has had fetched."""
    if call := current_call.get():
        call.charge(body_bytes=size_bytes)


def check_collection(name: str | None) -> None:
    """Let the request at hand use a collection that its path does not name; the path's was checked before.

    Raises:
        Forbidden: it is not one of its key's.

    """
    call = current_call.get()
    if call and name is not None and not call.key.may_use(name):
        raise Forbidden(f"the key {call.key.id} is not for the collection '{name}'", param="collection")


def may_see(name: str | None) -> bool:
    """Whether a list shows the request at hand what belongs to a collection, or to none."""
    call = current_call.get()
    return call is None or name is None or call.key.may_use(name)


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
        call = Call(key, self._door)

        async def charged() -> Message:
            message = await receive()
            if body := message.get("body"):
                call.charge(body_bytes=len(body))
            return message

        token = current_call.set(call)
        try:
            await self._app(scope, charged, send)
        finally:
            current_call.reset(token)


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
