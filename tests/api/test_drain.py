"""A server that is told to stop: nothing more is taken on, and what was is finished."""

import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from api.gated_server import gated_server, until

EMBED = "/v1/embeddings"
BODY = {"model": "words", "input": "red"}


@pytest.fixture
def draining(tmp_path):
    """A server that was told to stop while a request stood at the gate, and that request."""
    with gated_server(tmp_path) as server, ThreadPoolExecutor(1) as pool:
        server.tower.gate.clear()
        first = pool.submit(httpx.post, server.url + EMBED, json=BODY, timeout=20)
        until(lambda: server.tower.waiting == 1)
        server.uvicorn.handle_exit(signal.SIGTERM, None)
        yield server, first
        server.tower.gate.set()


def test_readiness_is_red_while_the_process_lives(draining):
    server, _ = draining
    ready = httpx.get(f"{server.url}/readyz")
    assert (ready.status_code, ready.json()["encoders"]) == (503, {"words": "shutting down"})
    assert httpx.get(f"{server.url}/healthz").status_code == 200


def test_what_comes_is_refused_and_its_connection_closed(draining):
    server, _ = draining
    answer = httpx.post(server.url + EMBED, json=BODY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "shutting_down")
    assert (answer.headers["connection"], answer.headers["retry-after"]) == ("close", "1")


def test_what_was_taken_on_is_answered_before_the_port_closes(draining):
    server, first = draining
    assert server.drain.in_flight == 1
    server.tower.gate.set()
    answer = first.result()
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    until(lambda: is_refused(server.port))


def is_refused(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0
