"""`Deadline` around the smallest ASGI applications."""

import asyncio
import json

import pytest

from simila.api import deadlines
from simila.api.deadlines import Deadline
from virtual_time import run_at_once


class Connection:
    """A client that has sent `body` and leaves when `leave` is called."""

    def __init__(self, *chunks):
        self._incoming = [
            {"type": "http.request", "body": chunk, "more_body": chunk is not chunks[-1]} for chunk in chunks
        ]
        self._left = asyncio.Event()
        self.sent = []

    def leave(self):
        self._left.set()

    async def receive(self):
        if self._incoming:
            return self._incoming.pop(0)
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.sent.append(message)

    @property
    def answer(self):
        start, *rest = self.sent
        return start["status"], b"".join(message["body"] for message in rest)


async def call(app, connection, *, default_seconds=10.0, headers=()):
    scope = {"type": "http", "headers": list(headers), "method": "POST", "path": "/"}
    await asyncio.wait_for(Deadline(app, default_seconds)(scope, connection.receive, connection.send), 60)


async def begin(send):
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def finish(send, body=b"done"):
    await send({"type": "http.response.body", "body": body})


async def echo(_, receive, send):
    body = b""
    while (message := await receive())["more_body"]:
        body += message["body"]
    await begin(send)
    await finish(send, body + message["body"])


async def never(_, receive, __):
    await receive()
    await asyncio.Event().wait()


def test_an_answer_passes_unchanged():
    async def main():
        connection = Connection(b"one, ", b"two")
        await call(echo, connection)
        assert connection.answer == (200, b"one, two")
        assert len(asyncio.all_tasks()) == 1

    run_at_once(main())


@pytest.mark.parametrize(
    ("headers", "default_seconds", "said"),
    [([], 0.02, "within 0.02 s"), ([(b"x-request-timeout", b"0.01")], 10.0, "within 0.01 s")],
)
def test_what_takes_too_long_is_cancelled_and_told(headers, default_seconds, said):
    async def main():
        connection = Connection(b"")
        await call(never, connection, headers=headers, default_seconds=default_seconds)
        status, body = connection.answer
        detail = json.loads(body)["error"]
        assert (status, detail["code"]) == (504, "deadline_exceeded")
        assert said in detail["message"]
        assert "X-Request-Timeout" in detail["message"]
        assert "SIMILA_REQUEST_TIMEOUT_SECONDS" in detail["message"]
        assert len(asyncio.all_tasks()) == 1

    run_at_once(main())


def test_a_deadline_that_ends_after_watching_began_is_kept(monkeypatch):
    monkeypatch.setattr(deadlines, "UNWATCHED_SECONDS", 0.01)

    async def main():
        connection = Connection(b"")
        await call(never, connection, default_seconds=0.03)
        assert connection.answer[0] == 504
        assert len(asyncio.all_tasks()) == 1

    run_at_once(main())


def test_a_body_that_does_not_end_is_under_the_deadline():
    async def endless(_, receive, __):
        while True:
            await receive()

    async def main():
        connection = Connection(b"a", b"b")
        connection._incoming.pop()
        await call(endless, connection, default_seconds=0.02)
        assert connection.answer[0] == 504

    run_at_once(main())


def test_the_client_may_ask_for_more_time_than_the_default():
    async def slow(scope, receive, send):
        await asyncio.sleep(0.05)
        await echo(scope, receive, send)

    async def main():
        connection = Connection(b"x")
        await call(slow, connection, default_seconds=0.01, headers=[(b"x-request-timeout", b"5")])
        assert connection.answer == (200, b"x")

    run_at_once(main())


@pytest.mark.parametrize("unwatched_seconds", [0.005, 0.1])
def test_an_answer_that_has_begun_is_not_cut(unwatched_seconds, monkeypatch):
    monkeypatch.setattr(deadlines, "UNWATCHED_SECONDS", unwatched_seconds)

    async def slow(_, receive, send):
        await receive()
        await asyncio.sleep(0.01)
        await begin(send)
        await asyncio.sleep(0.05)
        await finish(send)

    async def main():
        connection = Connection(b"x")
        await call(slow, connection, default_seconds=0.02)
        assert connection.answer == (200, b"done")

    run_at_once(main())


def test_a_client_that_leaves_cancels_its_request_and_gets_no_answer():
    async def main():
        connection = Connection(b"x")
        asyncio.get_running_loop().call_later(0.02, connection.leave)
        await call(never, connection)
        assert connection.sent == []
        assert len(asyncio.all_tasks()) == 1

    run_at_once(main())


def test_an_error_of_the_application_passes():
    async def broken(_, receive, __):
        await receive()
        raise TimeoutError("of the application's own")

    async def main():
        with pytest.raises(TimeoutError, match="of the application's own"):
            await call(broken, Connection(b"x"))

    run_at_once(main())


@pytest.mark.parametrize("value", [b"soon", b"0", b"-1", b"nan", b"inf", b""])
def test_a_malformed_deadline_is_refused(value):
    async def main():
        connection = Connection(b"x")
        await call(echo, connection, headers=[(b"x-request-timeout", value)])
        status, body = connection.answer
        detail = json.loads(body)["error"]
        assert (status, detail["param"], detail["code"]) == (400, "X-Request-Timeout", "invalid_input")
        assert f"'{value.decode()}', not a positive number of seconds" in detail["message"]

    run_at_once(main())
