"""Requests as spans. OpenTelemetry is imported only where traces are wanted."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from importlib.util import find_spec
from typing import Any, Protocol

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simila import __version__
from simila.api.draining import WATCHED
from simila.api.request_metrics import LOGGED
from simila.domain.errors import PackageMissing


class Tracing(Protocol):
    """What makes spans: `OpenTelemetry`, whose packages may not be here to name it."""

    def request(self, method: str, headers: Mapping[str, str]) -> AbstractContextManager[Any]: ...

    def close(self) -> None: ...


def open_telemetry(endpoint: str) -> Tracing:
    """Send spans to an OTLP endpoint.

    Raises:
        PackageMissing: its packages are not installed.

    """
    if not find_spec("opentelemetry") or not find_spec("opentelemetry.exporter"):
        raise PackageMissing("SIMILA_OTLP_ENDPOINT needs packages that are not here; run: pip install 'simila[otel]'")
    from simila.telemetry.open_telemetry import OpenTelemetry  # noqa: PLC0415  an extra

    return OpenTelemetry(endpoint, __version__)


class Traced:
    """Makes a span of each request, puts its id into the log line, and answers with `traceresponse`."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in WATCHED:
            await self._app(scope, receive, send)
            return
        with self._tracing.request(scope["method"], Headers(scope=scope)) as span:
            context = span.get_span_context()
            trace_id, span_id = f"{context.trace_id:032x}", f"{context.span_id:016x}"
            scope.setdefault(LOGGED, {})["trace_id"] = trace_id

            async def told(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    response = f"00-{trace_id}-{span_id}-{context.trace_flags:02x}".encode()
                    message["headers"] = [*message["headers"], (b"traceresponse", response)]
                await send(message)

            try:
                await self._app(scope, receive, told)
            finally:
                if route := getattr(scope.get("route"), "path", None):
                    span.update_name(f"{scope['method']} {route}")
                    span.set_attribute("http.route", route)
