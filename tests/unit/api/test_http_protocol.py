"""Answers leave in one packet, whole and in order."""

import socket
import threading
import time

import pytest
import uvicorn

from simila.api.http_protocol import OneWriteProtocol, _OneWrite

PARTS = [b"one", b"two" * 100_000, b"three"]


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    length = str(sum(map(len, PARTS))).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    for number, part in enumerate(PARTS, 1):
        await send({"type": "http.response.body", "body": part, "more_body": number < len(PARTS)})


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, http=OneWriteProtocol, lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join()


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


def test_head_and_body_are_one_write():
    writes = []

    class Transport:
        def write(self, data):
            writes.append(data)

        def close(self):
            writes.append("closed")

    class Loop:
        def __init__(self):
            self.later = []

        def call_soon(self, act):
            self.later.append(act)

    loop = Loop()
    transport = _OneWrite(Transport(), loop)
    transport.write(b"head ")
    transport.write(b"body")
    assert writes == []
    loop.later.pop()()
    transport.write(b"more")
    transport.close()
    assert writes == [b"head body", b"more", "closed"]
