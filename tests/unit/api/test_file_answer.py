import asyncio
import os

import pytest

from simila.api import file_answer
from simila.api.file_answer import FileAnswer

SCOPE = {"type": "http", "method": "GET", "asgi": {"version": "3.0", "spec_version": "2.3"}}
CONTENT = os.urandom(10_000)


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(file_answer, "_CHUNK_BYTES", 1000)
    (tmp_path / "file").write_bytes(CONTENT)
    with (tmp_path / "file").open("rb") as file:
        yield file


def answer(file, send, receive):
    async def run():
        await FileAnswer(file, media_type="text/plain", file_name="a.b")(SCOPE, receive, send)

    asyncio.run(run())


async def never():
    await asyncio.Event().wait()


def test_a_file_is_sent_whole_and_closed(file):
    sent = []

    async def send(message):
        sent.append(message)

    answer(file, send, never)
    assert dict(sent[0]["headers"])[b"content-length"] == b"10000"
    assert dict(sent[0]["headers"])[b"content-disposition"] == b'attachment; filename="a.b"'
    assert b"".join(message["body"] for message in sent[1:]) == CONTENT
    assert file.closed


def test_a_client_that_leaves_ends_it_and_closes_the_file(file):
    sent = []
    left = asyncio.Event()

    async def send(message):
        sent.append(message)
        if len(sent) == 3:
            left.set()
            await never()

    async def receive():
        await left.wait()
        return {"type": "http.disconnect"}

    answer(file, send, receive)
    assert len(sent) == 3
    assert file.closed


def test_a_connection_that_breaks_closes_the_file(file):
    async def send(_):
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        answer(file, send, never)
    assert file.closed
