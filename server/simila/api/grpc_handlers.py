"""What interceptors of gRPC have in common: a handler that another stands before."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn

import grpc

from simila.domain.errors import Overloaded, SimilaError
from simila.telemetry.metrics import ERRORS

Unary = Callable[[Any, Any], Awaitable[Any]]
Stream = Callable[[AsyncIterator[Any], Any], AsyncIterator[Any]]


def answered_by(handler: Any, unary: Unary, stream: Stream) -> Any:
    """A handler of the same messages, answered by `unary` or, if it reads a stream, by `stream`."""
    streams = handler.request_streaming
    make = grpc.stream_stream_rpc_method_handler if streams else grpc.unary_unary_rpc_method_handler
    return make(stream if streams else unary, handler.request_deserializer, handler.response_serializer)


async def refuse(context: Any, code: grpc.StatusCode, error: SimilaError) -> NoReturn:
    """End a call with an error, which is counted, and say when to come back where that is known."""
    ERRORS.labels(error.code).inc()
    if isinstance(error, Overloaded):
        context.set_trailing_metadata((("retry-after", str(max(1, math.ceil(error.retry_after_seconds)))),))
    await context.abort(code, error.message)
    raise AssertionError("abort raises")


def metadata_of(details: Any) -> dict[str, Any]:
    """What a client sent beside its call, by names in lower case."""
    return {name.lower(): value for name, value in details.invocation_metadata}


def status_name(code: Any, *, otherwise: str = "OK") -> str:
    """The name of a call's status; one that has none yet has it `otherwise`."""
    return str(code.name) if isinstance(code, grpc.StatusCode) else otherwise
