"""Request bodies that come compressed, unpacked before anybody reads them (RFC 9110, section 8.4)."""

import asyncio
import zlib
from collections.abc import Callable
from http import HTTPStatus

import zstandard
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simila.api.direct_route import whole_body
from simila.api.middleware import LargestBody, counted

Unpack = Callable[[bytes, int], bytes]

# zstandard has no bound on what one call makes: four octets may become 128 KiB, so this becomes 32 MiB at most.
_ZSTD_SLICE_BYTES = 1024
_GZIP_WINDOW = 31  # zlib's word for a gzip member, whose checksum it compares
_GZIP_SLICE_BYTES = 16_384
# An empty member is 20 octets; a body of nothing else would keep a thread busy for seconds.
_MOST_GZIP_MEMBERS = 10_000


class CompressedBodies:
    """Unpack bodies that are sent as gzip, deflate or zstd; 413 for one that is larger than `largest` unpacked."""

    def __init__(self, app: ASGIApp, largest: LargestBody) -> None:
        self._app = app
        self._largest = largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _is_encoded(scope) and (coding := _taken_coding(scope)):
            receive = self._unpacked(coding, receive)
        await self._app(scope, receive, send)

    def _unpacked(self, coding: str, receive: Receive) -> Receive:
        """The body as one message. What is wrong with it is raised where the body is read, and answered there."""
        was_read = False

        async def unpacked() -> Message:
            nonlocal was_read
            if was_read:
                return await receive()
            was_read = True
            body = await whole_body(counted(receive, self._largest))
            return {"type": "http.request", "body": await self._unpack(coding, body), "more_body": False}

        return unpacked

    async def _unpack(self, coding: str, body: bytes) -> bytes:
        if coding not in UNPACKERS:
            known = ", ".join(UNPACKERS)
            message = f"a body with content-encoding: {coding} cannot be read; send {known}, or no encoding"
            raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message, {"Accept-Encoding": known})
        most_bytes = self._largest.max_bytes
        try:
            content = await asyncio.to_thread(UNPACKERS[coding], body, most_bytes)
        except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
            raise HTTPException(HTTPStatus.BAD_REQUEST, f"the body is no sound {coding}: {error}") from error
        if len(content) > most_bytes:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, self._largest.refusal)
        return content


def _is_encoded(scope: Scope) -> bool:
    return any(name == b"content-encoding" for name, _ in scope["headers"])


def _taken_coding(scope: Scope) -> str | None:
    """How the body is encoded. The header, and the length of what was sent, are no longer true of what is read."""
    headers = MutableHeaders(scope=scope)
    coding = headers.get("content-encoding", "").strip().lower()
    if coding in ("", "identity"):
        return None
    del headers["content-encoding"]
    del headers["content-length"]
    scope["headers"] = headers.raw
    return coding


def _gunzip(body: bytes, most_bytes: int) -> bytes:
    """One member after the other (RFC 1952, section 2.2), in slices: zlib copies what is behind a member's end."""
    content = bytearray()
    rest = memoryview(body)
    for _ in range(_MOST_GZIP_MEMBERS):
        member = zlib.decompressobj(_GZIP_WINDOW)
        while not member.eof:
            if not rest:
                raise EOFError("it ends before its end")
            piece = rest[:_GZIP_SLICE_BYTES]
            content += member.decompress(piece, most_bytes + 1 - len(content))
            if len(content) > most_bytes:
                return bytes(content)
            rest = rest[len(piece) - len(member.unused_data) :]
        if not rest:
            return bytes(content)
    raise zlib.error(f"it has more than {_MOST_GZIP_MEMBERS} members")


def _inflate(body: bytes, most_bytes: int) -> bytes:
    inflater = zlib.decompressobj()
    content = inflater.decompress(body, most_bytes + 1)
    if not inflater.eof and len(content) <= most_bytes:
        raise EOFError("it ends before its end")
    return content


def _unpack_zstd(body: bytes, most_bytes: int) -> bytes:
    unpacker = zstandard.ZstdDecompressor().decompressobj()
    content = bytearray()
    for start in range(0, len(body), _ZSTD_SLICE_BYTES):
        content += unpacker.decompress(body[start : start + _ZSTD_SLICE_BYTES])
        if len(content) > most_bytes:
            return bytes(content)
    if not unpacker.eof or unpacker.unused_data:
        raise EOFError("it is not one whole frame")
    return bytes(content)


UNPACKERS: dict[str, Unpack] = {"gzip": _gunzip, "deflate": _inflate, "zstd": _unpack_zstd}
