"""The command line between real pipes: each command a process, the server a live one."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import httpx
import numpy as np
import pytest

from api.wire import embed, vectors
from clients.conftest import TEXT_ENCODER, Addresses
from simila.cli.vector_files import UNKNOWN_DIMENSION_ROWS
from simila_client import NotFound, Simila
from simila_client.batches import BATCH_ITEMS
from simila_client.embedding_calls import CONCURRENCY
from tolerances import FLOAT32_VALUES

# Whoever starts the tests in the background of a shell ignores SIGINT, and so would their children.
PROGRAM = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from simila.__main__ import main; main()"
)
DEADLINE_SECONDS = 120
NAME = "pipes"

Command = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def command(addresses: Addresses) -> Command:
    """Starts a command whose stdin, unless it is given, stdout and stderr are pipes."""

    def start(*arguments: str, stdin: object = subprocess.PIPE) -> subprocess.Popen[bytes]:
        line = [sys.executable, "-c", PROGRAM, *arguments, "--url", addresses.url]
        return subprocess.Popen(line, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    return start


@pytest.fixture
def client(addresses: Addresses) -> Iterator[Simila]:
    """Of the same server; the collection that a test has made is gone after it."""
    with Simila(addresses.url) as client:
        yield client
        with contextlib.suppress(NotFound):
            client.delete_collection(NAME)


def finished(process: subprocess.Popen[bytes], stdin: bytes | None = None) -> list[dict]:
    stdout, stderr = process.communicate(stdin, timeout=DEADLINE_SECONDS)
    assert process.returncode == 0, stderr
    return [json.loads(line) for line in stdout.splitlines()]


def test_lines_of_json_go_through_pipes_into_a_collection(
    command: Command, client: Simila, direct: httpx.Client
) -> None:
    texts = {"a": "a red dress", "b": "{brackets}"}
    lines = "".join(json.dumps({"id": key, "text": text, "label": key.upper()}) + "\n" for key, text in texts.items())
    with command("embed", "-", "--stdin", "jsonl", "--model", TEXT_ENCODER) as embedding:
        importing = command("collections", "import", NAME, "-", "--encoder", TEXT_ENCODER, stdin=embedding.stdout)
        embedding.stdin.write(lines.encode())
        embedding.stdin.close()
        assert finished(importing) == [{"name": NAME, "stored": 2}]
    assert embedding.returncode == 0
    assert [(item.id, item.label) for item in client.all_items(NAME)] == [("a", "A"), ("b", "B")]
    stored = [client.item(NAME, key, vector=True).vector for key in texts]
    np.testing.assert_allclose(stored, vectors(embed(direct, TEXT_ENCODER, list(texts.values()))), atol=FLOAT32_VALUES)

    found = finished(command("search", NAME, "--text", "-", "--stdin", "jsonl", "--limit", "1"), lines.encode())

    assert [(hit["query"], hit["query_id"], hit["id"]) for hit in found] == [(texts[key], key, key) for key in texts]


def test_a_pipe_is_answered_before_it_ends(command: Command) -> None:
    lines = (CONCURRENCY + 1) * BATCH_ITEMS
    with command("embed", "-", "--model", TEXT_ENCODER) as embedding:
        embedding.stdin.write(b"a red dress\n" * lines)
        embedding.stdin.flush()
        first = json.loads(embedding.stdout.readline())
        embedding.stdin.close()
        others = embedding.stdout.readlines()
    assert (embedding.returncode, len(others)) == (0, lines - 1)
    assert (first["id"], first["input"], len(first["vector"])) == ("1", "a red dress", 384)


def test_an_interrupted_import_says_what_is_stored(command: Command, client: Simila) -> None:
    vector = [1.0] + [0.0] * 383
    with command("collections", "import", NAME, "-", "--encoder", TEXT_ENCODER) as importing:
        for number in range(UNKNOWN_DIMENSION_ROWS):
            importing.stdin.write(json.dumps({"id": number, "vector": vector}).encode() + b"\n")
        importing.stdin.flush()
        wait_until_stored(client, UNKNOWN_DIMENSION_ROWS)
        importing.send_signal(signal.SIGINT)
        _, stderr = importing.communicate(timeout=DEADLINE_SECONDS)
    assert importing.returncode == 130
    # The signal may come before the answer.
    assert b"vectors of stdin are stored, and replaced if they come again" in stderr


def wait_until_stored(client: Simila, items: int) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(NotFound):
            if client.count(NAME) == items:
                return
        time.sleep(0.05)
    pytest.fail(f"{items} items were not stored")
