import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import pytest
from starlette.types import Message, Receive, Scope, Send

from simila.api import retries
from simila.api.retries import HeldRetries
from virtual_time import run_at_once

HELD_SECONDS = 0.05

Ask = Callable[[str, int], Awaitable[int]]


class Refusing:
    """Refuses so many requests, then takes on what comes."""

    def __init__(self, refusals: int) -> None:
        self._refusals = refusals

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        self._refusals -= 1
        refused = self._refusals >= 0
        status = HTTPStatus.TOO_MANY_REQUESTS if refused else HTTPStatus.OK
        headers = [(b"retry-after", b"7")] if refused else []
        await send({"type": "http.response.start", "status": int(status), "headers": headers})
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture(autouse=True)
def _short_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "HELD_SECONDS", HELD_SECONDS)


def asking(app: HeldRetries, length: bytes = b"") -> Ask:
    async def ask(path: str, port: int) -> int:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b""}

        async def send(message: Message) -> None:
            sent.append(message)

        headers = [(b"content-length", length)] if length else []
        await app({"type": "http", "client": ("127.0.0.1", port), "path": path, "headers": headers}, receive, send)
        return int(sent[0]["status"])

    return ask


def test_who_comes_back_too_soon_waits_and_is_served_then() -> None:
    async def scenario() -> None:
        ask = asking(HeldRetries(Refusing(1)))
        assert await ask("/a", 1) == HTTPStatus.TOO_MANY_REQUESTS
        refused_at = asyncio.get_running_loop().time()
        assert await ask("/a", 1) == HTTPStatus.OK
        assert asyncio.get_running_loop().time() - refused_at == pytest.approx(HELD_SECONDS)

    run_at_once(scenario())


@pytest.mark.parametrize(("path", "port"), [("/b", 1), ("/a", 2)])
def test_another_path_and_another_connection_do_not_wait(path: str, port: int) -> None:
    async def scenario() -> None:
        ask = asking(HeldRetries(Refusing(1)))
        await ask("/a", 1)
        held = asyncio.ensure_future(ask("/a", 1))
        assert await ask(path, port) == HTTPStatus.OK
        assert not held.done()
        assert await held == HTTPStatus.OK

    run_at_once(scenario())


def test_who_is_refused_again_waits_again() -> None:
    async def scenario() -> None:
        ask = asking(HeldRetries(Refusing(2)))
        began_at = asyncio.get_running_loop().time()
        assert [await ask("/a", 1) for _ in range(3)] == [429, 429, 200]
        assert asyncio.get_running_loop().time() - began_at == pytest.approx(2 * HELD_SECONDS)

    run_at_once(scenario())


def test_nothing_is_kept_once_the_time_is_over() -> None:
    async def scenario() -> None:
        app = HeldRetries(Refusing(3))
        ask = asking(app)
        await asyncio.gather(ask("/a", 1), ask("/a", 2), ask("/a", 3))
        await asyncio.sleep(2 * HELD_SECONDS)
        assert not app._welcome_at  # that it forgets is what is tested

    run_at_once(scenario())


@pytest.mark.parametrize(
    ("most_seconds", "length", "held_seconds"),
    [
        (10, b"", [1, 2, 3, 4]),
        (10, b"not a length", [1, 2, 3, 4]),
        (10, b"500", [1.5, 3, 4.5, 6]),
        (2.5, b"", [1, 2, 2.5, 2.5]),
        (2.5, b"5" * 40, [2.5, 2.5, 2.5, 2.5]),
    ],
)
def test_those_who_come_too_soon_take_turns_that_do_not_take_too_long(
    monkeypatch: pytest.MonkeyPatch, most_seconds: float, length: bytes, held_seconds: list[float]
) -> None:
    async def scenario() -> None:
        ask = asking(HeldRetries(Refusing(8)), length)

        async def seconds_held(port: int) -> float:
            await ask("/a", port)
            return asyncio.get_running_loop().time()

        for port in range(4):
            await ask("/a", port)
        assert await asyncio.gather(*map(seconds_held, range(4))) == pytest.approx(held_seconds)

    monkeypatch.setattr(retries, "HELD_SECONDS", 1.0)
    monkeypatch.setattr(retries, "MOST_HELD_SECONDS", most_seconds)
    monkeypatch.setattr(retries, "TURNS_A_SECOND", 1.0)
    monkeypatch.setattr(retries, "BYTES_A_SECOND", 1000.0)
    run_at_once(scenario())
