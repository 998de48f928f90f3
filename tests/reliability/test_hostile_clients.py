"""Clients that send slowly, in part, or leave in the middle: others are served, and nothing is left of them."""

import itertools
import json
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from held_port import held_port
from process_state import ProcessState
from server_process import SERVE, ServerProcess, folder_with_models
from simila.domain.model_repository import ModelRepository

MINILM = "all-minilm-l6-v2"
CLIENTS = 100
PATIENCE_SECONDS = 60
HEAD = b"POST /v1/embeddings HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n"
BEGUN_HEADS = (b"", b"POST /v1/emb", HEAD)
MOST_DESCRIPTORS = 300
FEW_DESCRIPTORS = ("/bin/sh", "-c", f'ulimit -n {MOST_DESCRIPTORS}; exec "$0" "$@"', *SERVE)
SHORT_PATIENCE = """
from simila.api.http_protocol import OneWriteProtocol
OneWriteProtocol.head_seconds = 1.0
from simila.__main__ import main
main()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, exported_repository: ModelRepository) -> Iterator[ServerProcess]:
    folder = folder_with_models(tmp_path_factory.mktemp("hostile") / "data", exported_repository.root)
    environment = {"SIMILA_ENCODERS": MINILM, "SIMILA_REQUEST_TIMEOUT_SECONDS": "1"}
    command = (sys.executable, "-c", SHORT_PATIENCE, "serve")
    with ServerProcess.start(folder, command=command, environment=environment) as server:
        embed(server)
        yield server


def embed(server: ServerProcess) -> None:
    body, headers = {"model": MINILM, "input": "a"}, {"X-Request-Timeout": str(PATIENCE_SECONDS)}
    answer = httpx.post(f"{server.url}/v1/embeddings", json=body, headers=headers, timeout=PATIENCE_SECONDS)
    assert answer.status_code == httpx.codes.OK


def connected(server: ServerProcess) -> socket.socket:
    address = urlsplit(server.url)
    return socket.create_connection((address.hostname, address.port), timeout=PATIENCE_SECONDS)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_head_that_does_not_come_closes_the_connection(server: ServerProcess) -> None:
    before = ProcessState.of(server.process.pid)
    with ExitStack() as stack:
        slow = [stack.enter_context(connected(server)) for _ in range(CLIENTS)]
        for client, begun in zip(slow, itertools.cycle(BEGUN_HEADS)):
            client.sendall(begun)
        embed(server)
        for client in slow:
            assert client.recv(1) == b""
    until(lambda: ProcessState.of(server.process.pid).descriptors <= before.descriptors)


def test_a_body_that_does_not_come_is_given_up_at_the_deadline(server: ServerProcess) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(connected(server)) for _ in range(CLIENTS)]
        for client in slow:
            client.sendall(HEAD + b"\r\n{")
        embed(server)
        for client in slow:
            assert client.recv(15).startswith(b"HTTP/1.1 504")


@pytest.mark.parametrize("leave", ["reset", "half-close"])
def test_who_leaves_in_the_middle_of_a_body_leaves_nothing_behind(server: ServerProcess, leave: str) -> None:
    before = ProcessState.of(server.process.pid)
    with ExitStack() as stack:
        for _ in range(CLIENTS):
            client = stack.enter_context(connected(server))
            client.sendall(HEAD + b"\r\n{")
            if leave == "reset":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
            else:
                client.shutdown(socket.SHUT_WR)
        embed(server)
        until(lambda: ProcessState.of(server.process.pid).descriptors <= before.descriptors)
    assert ProcessState.of(server.process.pid).threads < before.threads + CLIENTS // 10, "no thread a client"


@pytest.mark.parametrize("protocol", ["HTTP", "gRPC"])
def test_who_only_connects_keeps_nobody_from_being_served_nor_from_being_recorded(
    tmp_path: Path, exported_repository: ModelRepository, protocol: str
) -> None:
    folder = folder_with_models(tmp_path / "data", exported_repository.root)
    with ExitStack() as stack:
        grpc_port = stack.enter_context(held_port())
        environment = {"SIMILA_ENCODERS": MINILM, "SIMILA_GRPC_PORT": str(grpc_port)}
        server = stack.enter_context(ServerProcess.start(folder, command=FEW_DESCRIPTORS, environment=environment))
        port = grpc_port if protocol == "gRPC" else urlsplit(server.url).port
        for _ in range(2 * MOST_DESCRIPTORS):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS))
        made = httpx.put(f"{server.url}/v1/collections/kept", json={"encoder": MINILM}, timeout=PATIENCE_SECONDS)
        assert made.status_code == httpx.codes.CREATED
        embed(server)
    record = (folder / "audit.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line)["subject"] for line in record.splitlines()] == ["/v1/collections/kept"]
