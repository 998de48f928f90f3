"""How long each route takes to answer, by status, and one log line a request."""

from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simila.telemetry.logs import RequestLog
from simila.telemetry.metrics import ERRORS, HTTP_SECONDS

UNROUTED = "none"
# Where the scope of a request says when its head came in, by `time.perf_counter`.
BEGAN_AT = "simila.began_at"
# What other layers want in a request's log line: a dict of strings.
LOGGED = "simila.logged"
CLIENT_LEFT = 499
"""As in nginx."""


class RequestMetrics:
    """Measures from the request's head to the end of its answer. A client that left has the status 499."""

    def __init__(self, app: ASGIApp, log: RequestLog) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_at = scope[BEGAN_AT] = perf_counter()
        logged: dict[str, str] = scope.setdefault(LOGGED, {})
        status = CLIENT_LEFT

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            seconds, route = perf_counter() - began_at, _route(scope)
            HTTP_SECONDS.labels(route, str(status)).observe(seconds)
            if status == CLIENT_LEFT:
                ERRORS.labels("client_left").inc()
            self._log.answered(scope["method"], route, status, seconds, **logged)


def _route(scope: Scope) -> str:
    """The route's pattern, not the path: the names in paths are without end."""
    return getattr(scope.get("route"), "path", UNROUTED)
