"""Requests over httpx: small ones whole, files in pieces."""

import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import httpx

from simila_client import contents
from simila_client.connection import Connection, proxies_named
from simila_client.errors import SimilaClientError
from simila_client.request import Request, parse_response
from simila_client.retries import Retries

T = TypeVar("T")
OnBytes = Callable[[int, int], None]
"""Told how many bytes of a file have gone, and how many there are."""

_PIECE_BYTES = 2**20
# A server reads or writes all of a collection before it answers.
_FILE_TIMEOUT_SECONDS = 3600
_FILE_HEADERS = {"x-request-timeout": str(_FILE_TIMEOUT_SECONDS)}


def ignore(_done_bytes: int, _total_bytes: int) -> None:
    """Nobody watches."""


class Transport:
    """A connection to one server, for any number of threads. Every method may raise a `SimilaClientError`."""

    def __init__(self, connection: Connection, retries: Retries, transport: httpx.BaseTransport | None) -> None:
        self._connection = connection
        self._retries = retries
        with proxies_named():
            self._http = httpx.Client(transport=transport, **connection.options())

    def close(self) -> None:
        self._http.close()

    def read(self, content: T) -> T:
        """A content, item or example with its picture as bytes, as `contents.read` says."""
        return contents.read(content)

    def read_all(self, things: Sequence[T]) -> list[T]:
        """Each of several."""
        return contents.read_all(things)

    def send(self, request: Request[T], *, timeout_seconds: float | None = None) -> T:
        """Send a request whole, and read its answer; `timeout_seconds` replaces the client's own and the server's."""
        failures = 0
        while True:
            try:
                return self._sent_once(request, timeout_seconds)
            except SimilaClientError as error:
                failures += 1
                wait_seconds = self._retries.wait_seconds(error, failures=failures, repeatable=request.is_repeatable)
                if wait_seconds is None:
                    raise
            time.sleep(wait_seconds)

    def _sent_once(self, request: Request[T], timeout_seconds: float | None) -> T:
        headers = self._connection.headers(request, timeout_seconds)
        timeout_seconds = timeout_seconds or self._connection.timeout_seconds
        with self._connection.failures_named(request, timeout_seconds):
            answer = self._http.request(
                request.method, request.path, content=request.body(), headers=headers, timeout=timeout_seconds
            )
        return _parsed(request, answer)

    def download(self, request: Request[None], target: Path, on_bytes: OnBytes) -> None:
        """Write the answer's body to a file, which appears, or replaces another, once it is complete."""
        part = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            with self._file_failures_named(request), self._stream(request, request.body()) as answer:
                if not answer.is_success:
                    answer.read()
                    return _parsed(request, answer)
                total_bytes = int(answer.headers.get("content-length", 0))
                with part.open("xb") as file:
                    for piece in answer.iter_bytes(_PIECE_BYTES):
                        file.write(piece)
                        on_bytes(file.tell(), total_bytes)
                    file.flush()
                    os.fsync(file.fileno())
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def upload(self, request: Request[T], source: Path, on_bytes: OnBytes) -> T:
        """Send a file as the request's body, and read the answer."""
        with self._file_failures_named(request), source.open("rb") as file:
            total_bytes = os.fstat(file.fileno()).st_size

            def pieces() -> Iterator[bytes]:
                while piece := file.read(_PIECE_BYTES):
                    yield piece
                    on_bytes(file.tell(), total_bytes)

            with self._stream(request, pieces(), {"content-length": str(total_bytes)}) as answer:
                answer.read()
        return _parsed(request, answer)

    def _stream(self, request: Request[Any], content: Any = None, headers: dict[str, str] | None = None) -> Any:
        return self._http.stream(
            request.method,
            request.path,
            content=content,
            headers={**request.all_headers(), **_FILE_HEADERS, **(headers or {})},
            timeout=_FILE_TIMEOUT_SECONDS,
        )

    def _file_failures_named(self, request: Request[Any]) -> Any:
        return self._connection.failures_named(request, _FILE_TIMEOUT_SECONDS)


def _parsed(request: Request[T], answer: httpx.Response) -> T:
    return parse_response(request, answer.status_code, answer.headers, answer.content)
