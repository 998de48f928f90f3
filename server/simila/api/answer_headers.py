"""What every answer says beside its content: the id of its request, and what a browser must not do with it."""

import re
import secrets

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simila.api.request_metrics import LOGGED
from simila.telemetry.logs import current_request_id

REQUEST_ID = b"x-request-id"
_SOUND_ID = re.compile(rb"[!-~]{1,128}")
# Swagger's page runs scripts of this server.
_PAGES = ("/docs",)
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
CONTENT_SECURITY_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
STRICT_TRANSPORT_SECURITY = (b"strict-transport-security", b"max-age=31536000")


class AnswerHeaders:
    """Name each request as the client's `X-Request-Id` does, or anew, and send headers that routes have not set.

    What is listed is OWASP's for an API that browsers may reach.
    """

    def __init__(self, app: ASGIApp, *, is_tls: bool = False) -> None:
        self._app = app
        self._page_headers = (*HEADERS, STRICT_TRANSPORT_SECURITY) if is_tls else HEADERS
        self._headers = (*self._page_headers, CONTENT_SECURITY_POLICY)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = next((value for name, value in scope["headers"] if name == REQUEST_ID), b"")
        request_id = request_id_from(sent)
        text = request_id.decode("ascii")
        scope[LOGGED] = {"request_id": text}
        wanted = self._page_headers if scope["path"].startswith(_PAGES) else self._headers

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message["headers"])
                present = {name for name, _ in headers}
                headers += [header for header in wanted if header[0] not in present]
                message["headers"] = [*headers, (REQUEST_ID, request_id)]
            await send(message)

        # For good: a server logs what a request raised when it has left here, and gives each a context of its own.
        current_request_id.set(text)
        await self._app(scope, receive, with_headers)


def request_id_from(sent: bytes) -> bytes:
    """The id that a client sent, if it is a sound one, or a new one."""
    return sent if _SOUND_ID.fullmatch(sent) else secrets.token_hex(16).encode()


def request_id_of(scope: Scope) -> str | None:
    """The id of a request that `AnswerHeaders` has seen."""
    logged: dict[str, str] = scope.get(LOGGED, {})
    return logged.get("request_id")
