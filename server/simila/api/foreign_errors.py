"""Errors of paths whose clients expect another shape than OpenAI's: worded as all others, and reshaped last."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import orjson
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simila.api.accept import JSON

Reshape = Callable[[int, dict[str, Any]], dict[str, Any]]
"""From the status and the `ErrorDetail` to the body."""


class ForeignErrors:
    """Give every error of a path the body that `reshape_of` wants for it, whoever refused the request."""

    def __init__(self, app: ASGIApp, reshape_of: Callable[[str], Reshape | None]) -> None:
        self._app = app
        self._reshape_of = reshape_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reshape = self._reshape_of(scope["path"]) if scope["type"] == "http" else None
        await self._app(scope, receive, _Reshaped(send, reshape).send if reshape else send)


class _Reshaped:
    """Holds the head of an error back until its body is whole."""

    def __init__(self, send: Send, reshape: Reshape) -> None:
        self._send = send
        self._reshape = reshape
        self._head: Message | None = None
        self._body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= HTTPStatus.BAD_REQUEST:
            self._head = message
        elif self._head is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._send_reshaped(self._head)

    async def _send_reshaped(self, head: Message) -> None:
        body, headers = self._body, MutableHeaders(raw=head["headers"])
        if headers.get("content-type") == JSON:
            body = orjson.dumps(self._reshape(head["status"], orjson.loads(body)["error"]))
            headers["content-length"] = str(len(body))
        await self._send(head)
        await self._send({"type": "http.response.body", "body": body})
