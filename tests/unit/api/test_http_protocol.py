"""Answers leave in one packet, whole and in order."""

import socket
import threading
import time
from contextlib import contextmanager
from functools import partial

import pytest
import uvicorn

from simila.api.connection_room import ConnectionRoom
from simila.api.http_protocol import OneWriteProtocol, _OneWrite

PARTS = [b"one", b"two" * 100_000, b"three"]
# More than the kernel takes on for a client that does not read.
UNREAD_BYTES = 2**25
MOST_CONNECTIONS = 3
PATIENCE_SECONDS = 60


class HastyProtocol(OneWriteProtocol):
    """Has no patience at all, and tells of its end."""

    stall_seconds = 0.01
    lost = threading.Event()

    def connection_lost(self, exc):
        super().connection_lost(exc)
        self.lost.set()


ANSWERS = {"/echo": lambda body: body, "/much": lambda _: bytes(UNREAD_BYTES)}


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
    if scope["path"] in ANSWERS:
        content = ANSWERS[scope["path"]](body)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": content})
        return
    length = str(sum(map(len, PARTS))).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    for number, part in enumerate(PARTS, 1):
        await send({"type": "http.response.body", "body": part, "more_body": number < len(PARTS)})


@contextmanager
def serving(protocol):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, http=protocol, ws="none", lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def port():
    with serving(partial(OneWriteProtocol, room=ConnectionRoom(MOST_CONNECTIONS))) as port:
        yield port


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_an_answer_comes_whole(port, connection):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(f"GET / HTTP/1.1\r\nhost: a\r\nconnection: {connection}\r\n\r\n".encode())
        with client.makefile("rb") as answer:
            head = list(iter(answer.readline, b"\r\n"))
            body = b"".join(PARTS)
            assert head[0] == b"HTTP/1.1 200 OK\r\n"
            assert answer.read(len(body)) == body
            if connection == "close":
                assert answer.read() == b""


def test_pipelined_answers_come_in_turn(port):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client, client.makefile("rb") as answer:
        client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n" * 3)
        for _ in range(3):
            assert answer.readline() == b"HTTP/1.1 200 OK\r\n"
            while answer.readline() != b"\r\n":
                pass
            assert answer.read(sum(map(len, PARTS))) == b"".join(PARTS)


CHUNKED = b"POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"GET /", b"a"),
        (b"GET / HTTP/1.1\r\nhost: a\r\n", b"name: value\r\n"),
        (b"GET / HTTP/1.1\r\nhost: ", b"a"),
        (CHUNKED + b"1\r\na\r\n0\r\n", b"name: value\r\n"),
        (CHUNKED + b"1;", b"a"),
    ],
    ids=["path", "fields", "value", "trailers", "chunk"],
)
def test_a_head_without_an_end_is_given_up(port, begin, more):
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as client:
        client.sendall(begin)
        with pytest.raises(ConnectionError):
            client.sendall(more * (2 * UNREAD_BYTES // len(more)))


def test_a_long_head_and_a_body_of_any_length_are_read(port):
    head = b"POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\n" + b"name: value\r\n" * 4_500
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as client:
        for part in (head[:30_000], head[30_000:], b"content-length: 1000000\r\n\r\n", bytes(1_000_000)):
            client.sendall(part)
        with client.makefile("rb") as answer:
            assert answer.readline() == b"HTTP/1.1 200 OK\r\n"
            assert answer.read().count(b"\0") == 1_000_000


class Transport:
    """Keeps what is written, and holds `unsent_bytes` of it back."""

    def __init__(self):
        self.writes = []
        self.unsent_bytes = 0

    def write(self, data):
        self.writes.append(data)

    def close(self):
        self.writes.append("closed")

    def abort(self):
        self.writes.append("aborted")

    def get_write_buffer_size(self):
        return self.unsent_bytes


class Loop:
    """Does what is for its next turn, or for later, when it is told to."""

    def __init__(self):
        self.soon = []
        self.later = []

    def call_soon(self, act):
        self.soon.append(act)

    def call_later(self, seconds, act, *given):
        self.later.append((seconds, partial(act, *given)))


def test_head_and_body_are_one_write():
    inner, loop = Transport(), Loop()
    transport = _OneWrite(inner, loop, stall_seconds=1)
    transport.write(b"head ")
    transport.write(b"body")
    assert inner.writes == []
    loop.soon.pop()()
    transport.write(b"more")
    transport.close()
    assert inner.writes == [b"head body", b"more", "closed"]
    assert loop.later == [], "all was taken"


@pytest.mark.parametrize(
    ("unsent", "is_aborted"),
    [((90, 50, 49, 0), False), ((90, 90), True), ((90, 50, 50), True), ((1, 0), False), ((100, 100), True)],
)
def test_who_takes_nothing_for_a_while_is_let_go_and_who_is_slow_is_not(unsent, is_aborted):
    inner, loop = Transport(), Loop()
    transport = _OneWrite(inner, loop, stall_seconds=7)
    transport.write(bytes(100))
    inner.unsent_bytes = unsent[0]
    loop.soon.pop()()
    for inner.unsent_bytes in unsent[1:]:
        [(seconds, look_again)] = loop.later
        loop.later.clear()
        look_again()
        assert seconds == 7
    assert ("aborted" in inner.writes) is is_aborted
    assert loop.later == []


def test_what_is_written_meanwhile_neither_passes_for_a_stall_nor_hides_one():
    inner, loop = Transport(), Loop()
    transport = _OneWrite(inner, loop, stall_seconds=7)
    for taken_bytes in (10, 60, 60):
        transport.write(bytes(100))
        inner.unsent_bytes = transport._written_bytes + 100 - taken_bytes
        loop.soon.pop()()
        assert "aborted" not in inner.writes
        assert len(loop.later) == 1, "it is watched once"
        if taken_bytes > 10:
            loop.later.pop()[1]()
    assert "aborted" in inner.writes


def connected(port):
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)


def echoed(client, headers=b""):
    """The body that comes back, of an answer whose end is that of the connection."""
    client.sendall(b"POST /echo HTTP/1.1\r\nhost: a\r\n%scontent-length: 2\r\n\r\nhi" % headers)
    with client.makefile("rb") as answer:
        while answer.readline() != b"\r\n":
            pass
        assert answer.readline() == b"2\r\n"
        return answer.readline().strip()


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"TLS/1.3"])
@pytest.mark.parametrize("name", [b"Upgrade", b"upgrade"])
def test_a_wish_for_another_protocol_is_passed_over(port, name, protocol):
    wish = b"Connection: Upgrade, HTTP2-Settings\r\n%s: %s\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n" % (name, protocol)
    with connected(port) as client:
        assert [echoed(client, wish), echoed(client, wish), echoed(client)] == [b"hi"] * 3


def test_who_reads_nothing_of_an_answer_is_let_go():
    with serving(HastyProtocol) as port, connected(port) as client:
        HastyProtocol.lost.clear()
        client.sendall(b"GET /much HTTP/1.1\r\nhost: a\r\n\r\n")
        assert HastyProtocol.lost.wait(PATIENCE_SECONDS)


def test_a_new_connection_takes_the_place_of_the_one_that_is_idle_longest(port):
    with connected(port) as first, connected(port) as second, connected(port) as third:
        assert echoed(first) == echoed(third) == b"hi"
        with connected(port) as fourth:
            assert second.recv(1) == b""
            assert echoed(fourth) == echoed(first) == echoed(third) == b"hi"


def test_a_new_connection_ends_where_all_others_are_busy(port):
    with connected(port) as first, connected(port) as second, connected(port) as third:
        busy = (first, second, third)
        for client in busy:
            client.sendall(b"POST /echo HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 100")
        with connected(port) as fourth:
            assert fourth.recv(1) == b""
        for client in busy:
            client.sendall(b"hi")
            assert client.recv(100).startswith(b"HTTP/1.1 200")
