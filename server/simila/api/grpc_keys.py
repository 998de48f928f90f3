"""API keys at the door of gRPC, as metadata `authorization: Bearer …` or `api-key`. Items and bytes are not charged."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from simila.api.doorkeeper import Doorkeeper, bearer
from simila.api.scopes import Need
from simila.domain.access import Scope
from simila.domain.errors import AllowanceSpent, Forbidden, SimilaError

OPEN_CALLS = ("ServerLive", "ServerReady")
ADMIN_CALLS = ("RepositoryModelLoad", "RepositoryModelUnload")


class KeyInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """Refuses calls whose key does not allow them."""

    def __init__(self, door: Doorkeeper) -> None:
        self._door = door

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        handler = await continuation(details)
        metadata = {name.lower(): value for name, value in details.invocation_metadata}
        sent = bearer(metadata.get("authorization", "")) or metadata.get("api-key")
        try:
            self._door.admitted(sent, _need_of(details.method.rpartition("/")[2]))
        except SimilaError as error:
            return _refusing(handler, error)
        return handler


def _need_of(call: str) -> Need:
    if call in OPEN_CALLS:
        return Need(None)
    return Need(Scope.ADMIN if call in ADMIN_CALLS else Scope.READ)


def _refusing(handler: Any, error: SimilaError) -> Any:
    """A handler in the place of `handler` that ends every call with the error."""
    code = grpc.StatusCode.UNAUTHENTICATED
    if isinstance(error, Forbidden):
        code = grpc.StatusCode.PERMISSION_DENIED
    elif isinstance(error, AllowanceSpent):
        code = grpc.StatusCode.RESOURCE_EXHAUSTED

    async def refuse(_: Any, context: Any) -> Any:
        await context.abort(code, error.message)

    make = grpc.stream_stream_rpc_method_handler if handler.request_streaming else grpc.unary_unary_rpc_method_handler
    return make(refuse, handler.request_deserializer, handler.response_serializer)
