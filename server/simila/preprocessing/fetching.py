"""Images by URL: off unless the operator asks for it, and then from public addresses alone.

What is refused follows OWASP's cheat sheet on server-side request forgery; `public_network` judges addresses.
"""

import asyncio
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

import httpcore
import httpx

from simila.domain.errors import ImageUnavailable, LimitExceeded, UrlRefused
from simila.preprocessing.public_network import AddressRefused, PublicNetwork, Resolve, resolved
from simila.telemetry.traces import outgoing_headers

REDIRECTS = frozenset({301, 302, 303, 307, 308})
SHORTEST_SIGNATURE_BYTES = 12
# The first bytes of the formats that are decoded; `RIFF` is WebP's if `WEBP` follows the size.
SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"BM", b"RIFF")
HEADERS = [("Accept", "image/*"), ("Accept-Encoding", "identity"), ("User-Agent", "simila")]


@dataclass(frozen=True)
class FetchOptions:
    """Where images may come from, and how much of them.

    Hosts are names, or `.example.org` for all below; no allowed hosts are all. Networks are CIDR.
    """

    allowed_hosts: tuple[str, ...] = ()
    denied_hosts: tuple[str, ...] = ()
    allowed_networks: tuple[str, ...] = ()
    ports: tuple[int, ...] = (80, 443)
    max_bytes: int = 20 * 2**20
    max_redirects: int = 3
    timeout_seconds: float = 10.0
    most_at_once: int = 16


class ImageFetcher:
    """Fetches encoded images over HTTP and HTTPS."""

    def __init__(
        self, options: FetchOptions, *, resolve: Resolve = resolved, tls: ssl.SSLContext | None = None
    ) -> None:
        self._options = options
        self._slots = asyncio.Semaphore(options.most_at_once)
        # A connection is of one fetch: a kept one would have been judged by what its name meant before.
        self._http = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=None,
            max_keepalive_connections=0,
            network_backend=PublicNetwork(options.allowed_networks, resolve),
        )

    async def fetched(self, url: str) -> bytes:
        """Fetch the bytes of an image.

        Raises:
            UrlRefused: the scheme, the host, the port, the address or a redirect is not allowed.
            ImageUnavailable: nobody answers in time, or the answer is no image.
            LimitExceeded: it is larger than `max_bytes`.

        """
        try:
            async with self._slots, asyncio.timeout(self._options.timeout_seconds):
                return await self._follow(url)
        except TimeoutError as error:
            seconds = self._options.timeout_seconds
            raise ImageUnavailable(f"no image within {seconds:g} s (SIMILA_FETCH__TIMEOUT_SECONDS)") from error
        except AddressRefused as error:
            raise UrlRefused("the host's address is not public (SIMILA_FETCH__ALLOWED_NETWORKS)") from error
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, ssl.SSLError) as error:
            raise ImageUnavailable(f"the image cannot be fetched: {type(error).__name__}") from error

    async def close(self) -> None:
        await self._http.aclose()

    async def _follow(self, address: str) -> bytes:
        url, headers = self._checked(address, None), [*HEADERS, *outgoing_headers().items()]
        for _ in range(self._options.max_redirects + 1):
            async with self._http.stream("GET", str(url), headers=headers) as response:
                if response.status not in REDIRECTS:
                    return await self._image(response)
                location = _headers_of(response).get("location", "")
            url = self._checked(location, url)
        raise UrlRefused(f"more than {self._options.max_redirects} redirects (SIMILA_FETCH__MAX_REDIRECTS)")

    def _checked(self, address: str, came_from: httpx.URL | None) -> httpx.URL:
        try:
            url = came_from.join(address) if came_from else httpx.URL(address)
            host, port = url.host.rstrip(".").lower(), url.port or {"http": 80, "https": 443}.get(url.scheme)
        except (httpx.InvalidURL, ValueError) as error:
            raise UrlRefused("the URL is malformed") from error
        if url.scheme not in ("http", "https") or not host:
            raise UrlRefused("only http and https are fetched")
        if came_from and came_from.scheme == "https" and url.scheme == "http":
            raise UrlRefused("a redirect leads from https to http")
        if url.userinfo:
            raise UrlRefused("a URL with a user name is not fetched")
        if port not in self._options.ports:
            raise UrlRefused(f"port {port} is not allowed (SIMILA_FETCH__PORTS)")
        if _is_among(host, self._options.denied_hosts):
            raise UrlRefused(f"the host {host} is denied (SIMILA_FETCH__DENIED_HOSTS)")
        if self._options.allowed_hosts and not _is_among(host, self._options.allowed_hosts):
            raise UrlRefused(f"the host {host} is not allowed (SIMILA_FETCH__ALLOWED_HOSTS)")
        return url

    async def _image(self, response: httpcore.Response) -> bytes:
        if response.status != HTTPStatus.OK:
            raise ImageUnavailable(f"the image's host answered {response.status}")
        headers = _headers_of(response)
        if headers.get("content-encoding", "identity") != "identity":
            raise ImageUnavailable("the image's host sent it compressed, although it was asked not to")
        self._check_size(int(headers.get("content-length", "0")))  # h11 lets nothing but digits through
        data = bytearray()
        async for chunk in response.aiter_stream():
            data += chunk
            self._check_size(len(data))
            if len(data) >= SHORTEST_SIGNATURE_BYTES and not data.startswith(SIGNATURES):
                break
        if not data.startswith(SIGNATURES):
            raise ImageUnavailable("what the URL leads to is not an image of a format that is read")
        return bytes(data)

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self._options.max_bytes:
            limit = f"{self._options.max_bytes} bytes (SIMILA_LIMITS__MAX_IMAGE_BYTES)"
            raise LimitExceeded(f"the image is larger than the limit of {limit}")


def _headers_of(response: httpcore.Response) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}


def _is_among(host: str, names: Iterable[str]) -> bool:
    return any(host == name or (name.startswith(".") and host.endswith(name)) for name in map(str.lower, names))
