"""Guards that stand before any route."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simila.api.errors import ErrorBody, ErrorDetail, error_response
from simila.domain.errors import InvalidInput, UnknownHost, quoted
from simila.telemetry.metrics import ERRORS

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]")
# Most clients of a server name it alike.
REMEMBERED_HOSTS = 16


class KnownHosts:
    """Answer only to `hosts`, whatever the port, or to any where that is None; and to one in a request.

    A server on loopback is there for this machine alone. But a web page can give its own name the address 127.0.0.1
    (DNS rebinding) and have the browser send anything; the browser still sends the page's name as `Host`. Of two, what
    stands before the server may go by the other (RFC 9112, section 3.2).
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None) -> None:
        self._app = app
        self._hosts = None if hosts is None else frozenset(host.lower() for host in hosts)
        self._knows = lru_cache(REMEMBERED_HOSTS)(self._is_known)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            hosts = [value for name, value in scope["headers"] if name == b"host"]
            if len(hosts) > 1 or (not hosts and scope["http_version"] != "1.0"):
                message = f"a request has one header 'Host'; this one has {len(hosts)}"
                await error_response(InvalidInput(message))(scope, receive, send)
                return
            host = hosts[0].decode("latin-1") if hosts else ""
            if not self._knows(host):
                message = f"this server does not answer to the host {quoted(host)} (SIMILA_ALLOWED_HOSTS)"
                await error_response(UnknownHost(message))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_known(self, host: str) -> bool:
        return self._hosts is None or re.sub(r":\d+$", "", host).lower() in self._hosts


@dataclass(frozen=True)
class LargestBody:
    """How large the body of a request may be, and the setting that moves it."""

    max_bytes: int
    setting: str

    @property
    def refusal(self) -> str:
        return f"the body is larger than the limit of {self.max_bytes} bytes ({self.setting})"


class BodyLimit:
    """Refuse a larger request body than `largest` says with 413, declared or not, without keeping it in memory.

    What a client has begun to send is read and dropped, up to as much again as the limit: a connection that is closed
    over unread data is reset, and the client would never see the answer.
    """

    def __init__(self, app: ASGIApp, largest: Callable[[Scope], LargestBody]) -> None:
        self._app = app
        self._largest = largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        largest = self._largest(scope)
        headers = Headers(scope=scope)
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > largest.max_bytes:
            if "expect" not in headers:
                await _drop_body(receive, 2 * largest.max_bytes)
            await _refuse(send, largest.refusal)
            return
        await self._app(scope, counted(receive, largest), send)


def counted(receive: Receive, largest: LargestBody) -> Receive:
    """The messages of a body, up to the largest; past it, 413 is raised."""
    received_bytes = 0

    async def counting() -> Message:
        nonlocal received_bytes
        message = await receive()
        received_bytes += len(message.get("body", b""))
        if received_bytes > largest.max_bytes:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, largest.refusal)
        return message

    return counting


async def _drop_body(receive: Receive, most_bytes: int) -> None:
    dropped_bytes = 0
    while dropped_bytes <= most_bytes:
        message = await receive()
        dropped_bytes += len(message.get("body", b""))
        if not message.get("more_body", False):
            return


async def _refuse(send: Send, sentence: str) -> None:
    ERRORS.labels("request_entity_too_large").inc()
    detail = ErrorDetail(message=sentence, type="invalid_request_error", param=None, code="request_entity_too_large")
    body = ErrorBody(error=detail).model_dump_json().encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    status = int(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})
