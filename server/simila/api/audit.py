"""Requests that change something, or need a key for administrators, go into the audit log before they are answered."""

import asyncio
import logging
import re
from asyncio import Future, Task
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simila.api.access import current_call
from simila.api.answer_headers import request_id_of
from simila.api.request_metrics import CLIENT_LEFT
from simila.api.scopes import need_of
from simila.domain.access import Scope as KeyScope
from simila.domain.errors import StorageFailed
from simila.storage.audit_log import AuditLog, audit_entry

logger = logging.getLogger("simila.audit")
# Of an item that is forgotten the log would be a trace. What is posted there is a verb.
_ITEM = re.compile(r"(/v1/collections/[^/]+/items/).+")


class AuditTrail:
    """Writes entries in the order in which they come; those that wait together share one wait for the disk."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log
        self._waiting: list[tuple[Mapping[str, Any], Future[None]]] = []
        self._writer: Task[None] | None = None

    def note(self, entry: Mapping[str, Any]) -> Future[None]:
        """Add an entry; the future is done when it is on disk. One that cannot be written is logged as an error."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        return done

    async def close(self) -> None:
        """Wait until all is written."""
        if self._writer:
            await self._writer

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            entries = [entry for entry, _ in batch]
            try:
                await asyncio.to_thread(self._log.append, entries)
            except StorageFailed as error:
                # What they did is done; to answer otherwise would be untrue.
                logger.error("%s; %d entries are missing: %s", error.message, len(entries), entries)
            for _, done in batch:
                if not done.done():
                    done.set_result(None)


class AuditedRequests:
    """Stands behind the door: what it let in, and who came, is noted with the status of the answer."""

    def __init__(self, app: ASGIApp, trail: AuditTrail) -> None:
        self._app = app
        self._trail = trail

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_audited(scope["method"], scope["path"]):
            await self._app(scope, receive, send)
            return
        was_noted = False

        async def noting(message: Message) -> None:
            nonlocal was_noted
            if message["type"] == "http.response.start":
                was_noted = True
                await asyncio.shield(self._trail.note(_entry(scope, message["status"])))
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            if not was_noted:
                self._trail.note(_entry(scope, CLIENT_LEFT))


def _is_audited(method: str, path: str) -> bool:
    needed = need_of(method, path).scope
    return needed is not None and needed >= KeyScope.WRITE


def _entry(scope: Scope, status: int) -> dict[str, Any]:
    call = current_call.get()
    subject = scope["path"] if scope["method"] == "POST" else _ITEM.sub(r"\1…", scope["path"])
    more = {"status": status, "request_id": request_id_of(scope)}
    return audit_entry(call.key.id if call else None, scope["method"], subject, **more)
