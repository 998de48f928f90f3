"""Connections that ask for nothing, on the level of bytes: gRPC's own clients are polite."""

import asyncio
import resource
import socket
import time
from contextlib import ExitStack

import pytest

from simila.api import grpc_connections
from simila.api.grpc_connections import GrpcConnections, connections_allowed
from simila.api.grpc_inference import serving_grpc

PATIENCE_SECONDS = 60
EMPTY_SETTINGS = b"\0\0\0\4\0\0\0\0\0"
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + EMPTY_SETTINGS
BRIEF_SECONDS = 0.2


def beside_a_server(connections, client):
    """What `client` finds out of the port of a server with these limits."""

    async def serve():
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = {"max_message_bytes": 1000, "timeout_seconds": 1.0, "connections": connections}
        async with serving_grpc(None, f"127.0.0.1:{port}", [], **options):
            return await asyncio.to_thread(client, port)

    return asyncio.run(serve())


def connected(stack, port, greeting=GREETING):
    connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS))
    connection.sendall(greeting)
    return connection


def received(connection, size_bytes):
    """None at all once it is closed."""
    try:
        return connection.recv(size_bytes)
    except ConnectionResetError:
        return b""


def test_one_more_than_the_most_is_closed_and_another_comes_in_when_one_leaves():
    def client(port):
        with ExitStack() as stack:
            held = [connected(stack, port) for _ in range(2)]
            assert [received(each, 1) for each in held] == [b"\0", b"\0"]
            assert received(connected(stack, port), 1) == b""
            held[0].close()
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not received(connected(stack, port), 1):
                assert time.monotonic() < deadline
            return received(held[1], 1)

    assert beside_a_server(GrpcConnections(most=2), client) == b"\0"


@pytest.mark.parametrize(
    ("connections", "greeting"),
    [
        (GrpcConnections(idle_seconds=BRIEF_SECONDS), GREETING),
        (GrpcConnections(greeting_seconds=BRIEF_SECONDS), b""),
    ],
    ids=["does not call", "does not greet"],
)
def test_a_connection_is_closed_that(connections, greeting):
    def client(port):
        with ExitStack() as stack:
            connection = connected(stack, port, greeting)
            return sum(iter(lambda: len(received(connection, 1000)), 0))

    assert beside_a_server(connections, client) >= len(EMPTY_SETTINGS)


@pytest.mark.parametrize(("descriptors", "most"), [(1024, 128), (4, 1), (10**6, 8192), (resource.RLIM_INFINITY, 8192)])
def test_connections_have_an_eighth_of_the_descriptors(monkeypatch, descriptors, most):
    monkeypatch.setattr(grpc_connections.resource, "getrlimit", lambda _: (descriptors, descriptors))
    assert connections_allowed() == most
