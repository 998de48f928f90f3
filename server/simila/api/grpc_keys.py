"""The door of gRPC: API keys, as metadata `authorization: Bearer …` or `api-key`, and none who come too late."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, ExitStack, aclosing
from typing import Any

import grpc

from simila.api.access import Call, count_bytes, current_call
from simila.api.audit import AuditTrail
from simila.api.doorkeeper import Doorkeeper, bearer
from simila.api.grpc_handlers import answered_by, metadata_of, refuse, status_name
from simila.api.scopes import Need
from simila.domain.access import Scope
from simila.domain.errors import AllowanceSpent, Forbidden, ShuttingDown, SimilaError, Unauthorized
from simila.services.drain import Drain
from simila.storage.audit_log import audit_entry
from simila.telemetry.logs import current_request_id

OPEN_CALLS = ("ServerLive", "ServerReady")
ADMIN_CALLS = ("RepositoryModelLoad", "RepositoryModelUnload")
CODES = {
    Unauthorized: grpc.StatusCode.UNAUTHENTICATED,
    Forbidden: grpc.StatusCode.PERMISSION_DENIED,
    AllowanceSpent: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ShuttingDown: grpc.StatusCode.UNAVAILABLE,
}


class KeyInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """Refuses calls whose key does not allow them, and all once `drain` has begun, which counts those under way.

    A stream is judged again, and counts, with each of its messages.
    """

    def __init__(self, door: Doorkeeper, drain: Drain, trail: AuditTrail | None = None) -> None:
        self._door = door
        self._drain = drain
        self._trail = trail

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        handler = await continuation(details)
        if handler is None:  # there is no such call
            return None
        metadata = metadata_of(details)
        sent = bearer(metadata.get("authorization", "")) or metadata.get("api-key")
        name = details.method.rpartition("/")[2]
        guard = _Guard(self._door, self._drain, self._trail, handler, sent, name)
        return answered_by(handler, guard.unary, guard.stream)


class _Guard:
    """One call, which its handler answers where the key allows it."""

    def __init__(
        self, door: Doorkeeper, drain: Drain, trail: AuditTrail | None, handler: Any, sent: str | None, name: str
    ) -> None:
        self._door = door
        self._drain = drain
        self._trail = trail
        self._handler = handler
        self._sent = sent
        self._name = name
        self._need = _need_of(name)

    async def unary(self, request: Any, context: Any) -> Any:
        with await self._admitted(request, context):
            try:
                return await self._handler.unary_unary(request, context)
            finally:
                if self._trail and self._name in ADMIN_CALLS:
                    call = current_call.get()
                    more = {"status": status_name(context.code()), "request_id": current_request_id.get()}
                    await self._trail.note(
                        audit_entry(call.key.id if call else None, self._name, request.model_name, **more)
                    )

    async def stream(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async def admitted() -> AsyncGenerator[Any, None]:
            async for request in requests:
                with await self._admitted(request, context):
                    yield request

        async with aclosing(admitted()) as let_in:
            async for answer in self._handler.stream_stream(let_in, context):
                yield answer

    async def _admitted(self, request: Any, context: Any) -> AbstractContextManager[Any]:
        """What counts the call as under way, or the end of it."""
        with ExitStack() as under_way:
            try:
                if self._name not in OPEN_CALLS:
                    under_way.enter_context(self._drain.admit())
                key = self._door.admitted(self._sent, self._need)
            except SimilaError as error:
                await refuse(context, CODES[type(error)], error)
            # Each call has a context of its own, which ends with it.
            current_call.set(Call(key, self._door) if key else None)
            count_bytes(request.ByteSize())
            return under_way.pop_all()


def _need_of(call: str) -> Need:
    if call in OPEN_CALLS:
        return Need(None)
    return Need(Scope.ADMIN if call in ADMIN_CALLS else Scope.READ)
