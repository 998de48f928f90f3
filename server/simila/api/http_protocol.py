"""uvicorn's protocol, with head and body of an answer in one packet, and no patience with who stands still."""

import asyncio
import re
import sys
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from simila.api.connection_room import ConnectionRoom

_END_OF_HEAD = b"\r\n\r\n"
_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*", re.IGNORECASE)


class OneWriteProtocol(HttpToolsProtocol):
    """Hands to the kernel at once what is written in one turn of the event loop.

    uvicorn writes an answer's head and then its body, each a system call and a packet: a sixth of what HTTP costs a
    small request.

    A connection whose next request has no whole head `head_seconds` after its first byte, or after the connection was
    made, is closed: nobody holds connections by sending a byte now and then. For slow bodies there is `Deadline`. One
    that takes nothing of an answer for `stall_seconds` is closed too, because what is written to it is held meanwhile.
    So is one that sends more than `most_head_bytes`, and what was read at once with their beginning, without ending a
    head or bringing a byte of a body: the parser keeps heads and trailers whole, however long they are.

    `room` says which connection gives way where there are too many.
    """

    head_seconds = 20.0
    stall_seconds = 30.0
    most_head_bytes = 2**16
    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def __init__(self, *given: Any, room: ConnectionRoom | None = None, **named: Any) -> None:
        super().__init__(*given, **named)
        self._room = room or ConnectionRoom(sys.maxsize)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # what uvicorn is given
        one_write = _OneWrite(transport, self.loop, self.stall_seconds)
        super().connection_made(one_write)  # type: ignore[arg-type]  # quacks as a transport
        self._await_head()
        self._room.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._room.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.cycle is None or self.cycle.response_complete:
            data = _without_upgrade(data)
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > self.most_head_bytes and not self.transport.is_closing():
            self._refuse_head()

    def on_message_begin(self) -> None:
        self._head_bytes = 0
        self._await_head()
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        super().on_body(body)

    def on_headers_complete(self) -> None:
        self._head_bytes = 0
        self._stop_waiting()
        self._room.is_busy(self)
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete:
            self._room.is_idle(self)

    def give_way(self) -> None:
        self.transport.abort()

    def _refuse_head(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.send_400_response(f"The head of the request is longer than {self.most_head_bytes} bytes.")
        else:  # nothing may come between the parts of an answer
            self.transport.close()

    def _await_head(self) -> None:
        self._stop_waiting()
        self._head_timer = self.loop.call_later(self.head_seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class _OneWrite:
    """A transport that gathers writes until the event loop's next turn, or until it is closed.

    It is aborted when its other end takes nothing for `stall_seconds` of what it is to be sent.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, stall_seconds: float) -> None:
        self._transport = transport
        self._loop = loop
        self._stall_seconds = stall_seconds
        self._gathered: list[bytes] = []
        self._written_bytes = 0
        self._is_watched = False

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
            self._written_bytes += len(data)
            if not self._is_watched and self._transport.get_write_buffer_size():
                self._watch()

    def _watch(self) -> None:
        self._is_watched = True
        taken_bytes = self._written_bytes - self._transport.get_write_buffer_size()
        self._loop.call_later(self._stall_seconds, self._look_again, taken_bytes)

    def _look_again(self, taken_bytes: int) -> None:
        self._is_watched = False
        left_bytes = self._transport.get_write_buffer_size()
        if left_bytes and self._written_bytes - left_bytes <= taken_bytes:
            self._transport.abort()
        elif left_bytes:
            self._watch()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _without_upgrade(data: bytes) -> bytes:
    """A request without a wish for another protocol, which a server may pass over (RFC 9110, section 7.8).

    The parser would stop behind the head, and the body be lost: Java's client asks for HTTP/2 in this way.
    """
    head, end, rest = data.partition(_END_OF_HEAD)
    return _UPGRADE.sub(b"", head) + end + rest if b"pgrade" in head.lower() else data
