"""Calls of gRPC as those who run the server see them: a metric, a log line and a span each."""

from asyncio import CancelledError
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import grpc

from simila.api.answer_headers import request_id_from
from simila.api.grpc_handlers import answered_by, metadata_of, status_name
from simila.api.tracing import Tracing
from simila.telemetry.logs import RequestLog, current_request_id
from simila.telemetry.metrics import GRPC_SECONDS


class WatchInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """Tells of each call when it ends; a stream is one call."""

    def __init__(self, log: RequestLog, tracing: Tracing | None = None) -> None:
        self._log = log
        self._tracing = tracing

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        handler = await continuation(details)
        if handler is None:  # there is no such call, and its name is the client's
            return None
        metadata, name = metadata_of(details), details.method.rpartition("/")[2]

        async def unary(request: Any, context: Any) -> Any:
            with self._told(name, metadata, context):
                return await handler.unary_unary(request, context)

        async def stream(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
            with self._told(name, metadata, context):
                async for answer in handler.stream_stream(requests, context):
                    yield answer

        return answered_by(handler, unary, stream)

    @contextmanager
    def _told(self, name: str, metadata: Mapping[str, Any], context: Any) -> Iterator[None]:
        began_at = perf_counter()
        request_id = request_id_from(str(metadata.get("x-request-id", "")).encode()).decode("ascii")
        current_request_id.set(request_id)
        fields, status = {"request_id": request_id}, "CANCELLED"
        try:
            with self._span(name, metadata, fields):
                yield
            status = status_name(context.code())
        except CancelledError:
            raise
        except BaseException:
            status = status_name(context.code(), otherwise="UNKNOWN")
            raise
        finally:
            seconds = perf_counter() - began_at
            GRPC_SECONDS.labels(name, status).observe(seconds)
            self._log.answered("gRPC", name, status, seconds, **fields)

    @contextmanager
    def _span(self, name: str, metadata: Mapping[str, Any], fields: dict[str, str]) -> Iterator[None]:
        if self._tracing is None:
            yield
            return
        with self._tracing.request(f"gRPC {name}", metadata) as span:
            fields["trace_id"] = f"{span.get_span_context().trace_id:032x}"
            yield
