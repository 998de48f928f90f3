"""Requests over httpx, awaited. Files go through the blocking transport, in a thread."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import httpx

from simila_client import contents
from simila_client.connection import Connection, proxies_named
from simila_client.errors import SimilaClientError
from simila_client.request import Request, parse_response
from simila_client.retries import Retries
from simila_client.transport import OnBytes, Transport

T = TypeVar("T")


class AsyncTransport:
    """A connection to one server. Every method may raise a `SimilaClientError`."""

    def __init__(self, connection: Connection, retries: Retries, transport: httpx.AsyncBaseTransport | None) -> None:
        self._connection = connection
        self._retries = retries
        with proxies_named():
            self._http = httpx.AsyncClient(transport=transport, **connection.options())

    async def close(self) -> None:
        await self._http.aclose()

    async def read(self, content: T) -> T:
        """A content, item or example with its picture as bytes, as `contents.read` says."""
        return await asyncio.to_thread(contents.read, content)

    async def read_all(self, things: Sequence[T]) -> list[T]:
        """Each of several."""
        return await asyncio.to_thread(contents.read_all, things)

    async def send(self, request: Request[T], *, timeout_seconds: float | None = None) -> T:
        """Send a request whole, and read its answer; `timeout_seconds` replaces the client's own and the server's."""
        failures = 0
        while True:
            try:
                return await self._sent_once(request, timeout_seconds)
            except SimilaClientError as error:
                failures += 1
                wait_seconds = self._retries.wait_seconds(error, failures=failures, repeatable=request.is_repeatable)
                if wait_seconds is None:
                    raise
            await asyncio.sleep(wait_seconds)

    async def _sent_once(self, request: Request[T], timeout_seconds: float | None) -> T:
        headers = self._connection.headers(request, timeout_seconds)
        timeout_seconds = timeout_seconds or self._connection.timeout_seconds
        with self._connection.failures_named(request, timeout_seconds):
            answer = await self._http.request(
                request.method, request.path, content=request.body(), headers=headers, timeout=timeout_seconds
            )
        return parse_response(request, answer.status_code, answer.headers, answer.content)

    async def download(self, request: Request[None], target: Path, on_bytes: OnBytes) -> None:
        """Write the answer's body to a file, which appears, or replaces another, once it is complete."""
        files = Transport(self._connection, self._retries, None)
        try:
            await asyncio.to_thread(files.download, request, target, on_bytes)
        finally:
            files.close()

    async def upload(self, request: Request[T], source: Path, on_bytes: OnBytes) -> T:
        """Send a file as the request's body, and read the answer."""
        files = Transport(self._connection, self._retries, None)
        try:
            return await asyncio.to_thread(files.upload, request, source, on_bytes)
        finally:
            files.close()
