"""uvicorn's protocol, with the head and the body of an answer in one packet."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class OneWriteProtocol(HttpToolsProtocol):
    """Hands to the kernel at once what is written in one turn of the event loop.

    uvicorn writes an answer's head and then its body, each a system call and a packet: a sixth of what HTTP costs a
    small request.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # what uvicorn is given
        super().connection_made(_OneWrite(transport, self.loop))  # type: ignore[arg-type]  # quacks as a transport


class _OneWrite:
    """A transport that gathers writes until the event loop's next turn, or until it is closed."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._gathered: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._gathered:
            self._loop.call_soon(self._flush)
        self._gathered.append(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._gathered:
            data, self._gathered = b"".join(self._gathered), []
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
