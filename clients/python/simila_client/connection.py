"""What a blocking and an awaiting transport share: the address, the key, and the names of failures."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

import httpx

from simila_client.errors import ConnectionBroke, ConnectionFailed, InvalidArgument, TimedOut
from simila_client.request import Request


class Connection:
    """Where a server is and how it is asked, without a socket.

    Raises:
        InvalidArgument: `base_url` is no http or https address, or `api_key` cannot stand in a header.

    """

    def __init__(self, base_url: str, *, api_key: str | None, timeout_seconds: float) -> None:
        try:
            self.url = httpx.URL(base_url)
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise InvalidArgument(f"{base_url!r} is no address of a server: {error}") from error
        if self.url.scheme not in {"http", "https"} or not self.url.host:
            raise InvalidArgument(f"{base_url!r} is no address of a server; write it as http://127.0.0.1:8000")
        if api_key is not None and not (api_key.isascii() and api_key.isprintable()):
            raise InvalidArgument("the API key has characters that no header carries")
        self.timeout_seconds = timeout_seconds
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}

    def options(self) -> dict[str, Any]:
        """Arguments of either of httpx's clients. The environment's proxy never serves an address of this machine."""
        return {
            "base_url": self.url,
            "timeout": self.timeout_seconds,
            "headers": self._headers,
            "trust_env": not _is_this_machine(self.url.host),
        }

    def headers(self, request: Request[Any], timeout_seconds: float | None) -> dict[str, str]:
        """What goes with a request; `timeout_seconds` replaces the server's own deadline."""
        headers = dict(request.all_headers())
        if timeout_seconds:
            headers["x-request-timeout"] = f"{timeout_seconds:g}"
        return headers

    @contextmanager
    def failures_named(self, request: Request[Any], timeout_seconds: float) -> Iterator[None]:
        """Let httpx's errors leave as the client's own."""
        try:
            yield
        except httpx.InvalidURL as error:
            raise InvalidArgument(f"{request.path[:100]!r} is no path of a URL: {error}") from error
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise ConnectionFailed(self._why_unreached(error)) from error
        except httpx.TimeoutException as error:
            message = f"{request.method} {request.path} was not answered within {timeout_seconds:g} s"
            raise TimedOut(message) from error
        except httpx.RequestError as error:
            raise ConnectionBroke(f"the connection to {self.url} broke: {error}") from error

    def _why_unreached(self, error: BaseException) -> str:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLError):
                return f"TLS with {self.url} failed: {cause}; one without TLS is reached by http://"
            if isinstance(cause, socket.gaierror):
                return f"no server answers at {self.url}: {cause.strerror}"
            cause = cause.__cause__ or cause.__context__
        return f"no server answers at {self.url}; start one with: simila serve"


@contextmanager
def proxies_named() -> Iterator[None]:
    """Let an environment whose proxy cannot be used be an `InvalidArgument`."""
    try:
        yield
    except (httpx.InvalidURL, ValueError, ImportError) as error:
        message = f"the proxy that HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names cannot be used: {error}"
        raise InvalidArgument(message) from error


def _is_this_machine(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        # RFC 6761, section 6.3: names below localhost are loopback too.
        return host.rstrip(".").rpartition(".")[2] == "localhost"
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified)
