"""Requests over httpx: small ones whole, files in pieces."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar

import httpx

from simila_client.errors import ConnectionFailed, InvalidArgument, TimedOut
from simila_client.request import Request, parse_response

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
    """A connection to one server. Every method may raise a `SimilaClientError`."""

    def __init__(self, base_url: str, *, timeout_seconds: float, transport: httpx.BaseTransport | None) -> None:
        try:
            url = httpx.URL(base_url)
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise InvalidArgument(f"{base_url!r} is no address of a server: {error}") from error
        if url.scheme not in {"http", "https"} or not url.host:
            raise InvalidArgument(f"{base_url!r} is no address of a server; write it as http://127.0.0.1:8000")
        self._timeout_seconds = timeout_seconds
        try:
            self._http = httpx.Client(
                base_url=url, timeout=timeout_seconds, transport=transport, trust_env=not _is_this_machine(url.host)
            )
        except (httpx.InvalidURL, ValueError, ImportError) as error:
            message = f"the proxy that HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names cannot be used: {error}"
            raise InvalidArgument(message) from error

    def close(self) -> None:
        self._http.close()

    def send(self, request: Request[T], *, timeout_seconds: float | None = None) -> T:
        """Send a request whole, and read its answer; `timeout_seconds` replaces the client's own and the server's."""
        headers = dict(request.all_headers())
        if timeout_seconds:
            headers["x-request-timeout"] = f"{timeout_seconds:g}"
        timeout_seconds = timeout_seconds or self._timeout_seconds
        with self._failures_named(request, timeout_seconds):
            answer = self._http.request(
                request.method, request.path, content=request.body(), headers=headers, timeout=timeout_seconds
            )
        return _parsed(request, answer)

    def download(self, request: Request[None], target: Path, on_bytes: OnBytes) -> None:
        """Write the answer's body to a file, which appears, or replaces another, once it is complete."""
        part = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            with self._failures_named(request, _FILE_TIMEOUT_SECONDS), self._stream(request, request.body()) as answer:
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
        with self._failures_named(request, _FILE_TIMEOUT_SECONDS), source.open("rb") as file:
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

    @contextmanager
    def _failures_named(self, request: Request[Any], timeout_seconds: float) -> Iterator[None]:
        try:
            yield
        except httpx.InvalidURL as error:
            raise InvalidArgument(f"{request.path[:100]!r} is no path of a URL: {error}") from error
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            message = f"no server answers at {self._http.base_url}; start one with: simila serve"
            raise ConnectionFailed(message) from error
        except httpx.TimeoutException as error:
            message = f"{request.method} {request.path} was not answered within {timeout_seconds:g} s"
            raise TimedOut(message) from error
        except httpx.RequestError as error:
            raise ConnectionFailed(f"the connection to {self._http.base_url} broke: {error}") from error


def _parsed(request: Request[T], answer: httpx.Response) -> T:
    return parse_response(request, answer.status_code, answer.headers, answer.content)


def _is_this_machine(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        # RFC 6761, section 6.3: names below localhost are loopback too.
        return host.rstrip(".").rpartition(".")[2] == "localhost"
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified)
