"""What interceptors of gRPC have in common: a handler that another stands before."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

Unary = Callable[[Any, Any], Awaitable[Any]]
Stream = Callable[[AsyncIterator[Any], Any], AsyncIterator[Any]]


def answered_by(handler: Any, unary: Unary, stream: Stream) -> Any:
    """A handler of the same messages, answered by `unary` or, if it reads a stream, by `stream`."""
    streams = handler.request_streaming
    make = grpc.stream_stream_rpc_method_handler if streams else grpc.unary_unary_rpc_method_handler
    return make(stream if streams else unary, handler.request_deserializer, handler.response_serializer)


def metadata_of(details: Any) -> dict[str, Any]:
    """What a client sent beside its call, by names in lower case."""
    return {name.lower(): value for name, value in details.invocation_metadata}


def status_name(code: Any, *, otherwise: str = "OK") -> str:
    """The name of a call's status; one that has none yet has it `otherwise`."""
    return str(code.name) if isinstance(code, grpc.StatusCode) else otherwise
