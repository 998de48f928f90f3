"""API keys at the door of gRPC, as metadata `authorization: Bearer …` or `api-key`."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from simila.api.access import Call, count_bytes, current_call
from simila.api.doorkeeper import Doorkeeper, bearer
from simila.api.scopes import Need
from simila.domain.access import Scope
from simila.domain.errors import AllowanceSpent, Forbidden, SimilaError

OPEN_CALLS = ("ServerLive", "ServerReady")
ADMIN_CALLS = ("RepositoryModelLoad", "RepositoryModelUnload")


class KeyInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """Refuses calls whose key does not allow them. A stream's key is looked at again for each of its messages."""

    def __init__(self, door: Doorkeeper) -> None:
        self._door = door

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        handler = await continuation(details)
        if handler is None:  # there is no such call
            return None
        metadata = {name.lower(): value for name, value in details.invocation_metadata}
        sent = bearer(metadata.get("authorization", "")) or metadata.get("api-key")
        guard = _Guard(self._door, handler, sent, _need_of(details.method.rpartition("/")[2]))
        streams = handler.request_streaming
        make = grpc.stream_stream_rpc_method_handler if streams else grpc.unary_unary_rpc_method_handler
        answer = guard.stream if streams else guard.unary
        return make(answer, handler.request_deserializer, handler.response_serializer)


class _Guard:
    """One call, which its handler answers where the key allows it."""

    def __init__(self, door: Doorkeeper, handler: Any, sent: str | None, need: Need) -> None:
        self._door = door
        self._handler = handler
        self._sent = sent
        self._need = need

    async def unary(self, request: Any, context: Any) -> Any:
        await self._admit(request, context)
        return await self._handler.unary_unary(request, context)

    async def stream(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async def admitted() -> AsyncIterator[Any]:
            async for request in requests:
                await self._admit(request, context)
                yield request

        async for answer in self._handler.stream_stream(admitted(), context):
            yield answer

    async def _admit(self, request: Any, context: Any) -> None:
        try:
            key = self._door.admitted(self._sent, self._need)
        except SimilaError as error:
            await context.abort(_code_of(error), error.message)
        # Each call has a context of its own, which ends with it.
        current_call.set(Call(key, self._door) if key else None)
        count_bytes(request.ByteSize())


def _need_of(call: str) -> Need:
    if call in OPEN_CALLS:
        return Need(None)
    return Need(Scope.ADMIN if call in ADMIN_CALLS else Scope.READ)


def _code_of(error: SimilaError) -> grpc.StatusCode:
    if isinstance(error, Forbidden):
        return grpc.StatusCode.PERMISSION_DENIED
    return grpc.StatusCode.RESOURCE_EXHAUSTED if isinstance(error, AllowanceSpent) else grpc.StatusCode.UNAUTHENTICATED
