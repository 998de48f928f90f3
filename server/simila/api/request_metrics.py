"""How long each route takes to answer, by status."""

from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simila.telemetry import HTTP_SECONDS

UNROUTED = "none"
# Where the scope of a request says when its head came in, by `time.perf_counter`.
BEGAN_AT = "simila.began_at"


class RequestMetrics:
    """Measures from the request's head to the end of its answer. A client that left has the status 499, as in nginx."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_at = scope[BEGAN_AT] = perf_counter()
        status = "499"

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            HTTP_SECONDS.labels(_route(scope), status).observe(perf_counter() - began_at)


def _route(scope: Scope) -> str:
    """The route's pattern, not the path: the names in paths are without end."""
    return getattr(scope.get("route"), "path", UNROUTED)
