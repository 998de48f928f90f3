"""Clients that leave and deadlines that pass, over real sockets: what nobody waits for costs no compute."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from api.gated_server import gated_server, until
from api.wire import error
from simila.index.collection import Collection
from unit.services.word_encoders import DIMENSION

EMBED = "/v1/embeddings"


@pytest.fixture
def server(tmp_path):
    with gated_server(tmp_path) as server:
        yield server


@pytest.fixture
def client(server):
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


@pytest.fixture
def blocked(server, client):
    """A request stands at the gate; whatever comes next has to wait."""
    server.tower.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, EMBED, json=words("first"))
        until(lambda: server.tower.ran == ["first"])
        yield first
        server.tower.gate.set()


def words(text):
    return {"model": "words", "input": text}


def raw(path, body):
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n"
    return head.encode() + b"content-length: %d\r\n\r\n" % len(content) + content


def sent(server, message):
    connection = socket.create_connection(("127.0.0.1", server.port))
    connection.sendall(message)
    return connection


def test_the_row_of_a_client_that_left_never_reaches_the_backend(server, client, blocked):
    leaving = sent(server, raw(EMBED, words("left")))
    until(lambda: server.tower.waiting == 2)
    leaving.close()
    until(lambda: server.tower.abandoned == 1)
    server.tower.gate.set()
    assert blocked.result().status_code == 200
    assert client.post(EMBED, json=words("next")).status_code == 200
    assert server.tower.ran == ["first", "next"]


def test_200_clients_that_leave_leave_nothing_behind(server, client, blocked):
    leaving = [sent(server, raw(EMBED, words([f"left {n}", "and more"]))) for n in range(200)]
    until(lambda: server.tower.waiting == 201)
    for connection in leaving:
        connection.close()
    until(lambda: server.tower.abandoned == 200)
    until(lambda: server.requests_in_progress == 1)
    server.tower.gate.set()
    assert blocked.result().status_code == 200
    assert client.post(EMBED, json=words("next")).status_code == 200
    assert server.tower.ran == ["first", "next"]
    until(lambda: server.requests_in_progress == 0)


def test_a_client_that_leaves_within_its_body_is_forgotten(server, client, caplog):
    whole = raw(EMBED, words("half"))
    sent(server, whole[:-5]).close()
    until(lambda: server.uvicorn.server_state.connections == set())
    until(lambda: server.requests_in_progress == 0)
    assert client.post(EMBED, json=words("next")).status_code == 200
    assert server.tower.ran == ["next"]
    assert caplog.records == []


def test_a_deadline_drops_the_row_and_says_how_to_get_more_time(server, client, blocked):
    response = httpx.post(f"{server.url}{EMBED}", json=words("late"), headers={"x-request-timeout": "0.05"})
    assert (response.status_code, error(response)["code"]) == (504, "deadline_exceeded")
    assert "within 0.05 s" in error(response)["message"]
    assert "X-Request-Timeout" in error(response)["message"]
    assert "SIMILA_REQUEST_TIMEOUT_SECONDS" in error(response)["message"]
    server.tower.gate.set()
    assert blocked.result().status_code == 200
    assert client.post(EMBED, json=words("next")).status_code == 200
    assert server.tower.ran == ["first", "next"]


def test_the_setting_holds_where_the_client_says_nothing(tmp_path):
    with gated_server(tmp_path, request_timeout_seconds=0.1) as server:
        server.tower.gate.clear()
        response = httpx.post(f"{server.url}{EMBED}", json=words("late"))
        assert response.status_code == 504
        assert "within 0.1 s" in error(response)["message"]


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "inf"])
def test_a_malformed_deadline(client, value):
    response = client.post(EMBED, json=words("a"), headers={"x-request-timeout": value})
    assert (response.status_code, error(response)["param"]) == (400, "X-Request-Timeout")


def test_a_write_whose_client_left_is_finished(server, client, monkeypatch):
    writing, may_write = threading.Event(), threading.Event()
    write = Collection.write

    def slow_write(self, operation):
        writing.set()
        assert may_write.wait(60)
        return write(self, operation)

    monkeypatch.setattr(Collection, "write", slow_write)
    assert client.put("/v1/collections/c", json={"encoder": "words"}).status_code == 201
    items = {"items": [{"id": str(n), "vector": [float(n + 1)] * DIMENSION} for n in range(3)]}
    leaving = sent(server, raw("/v1/collections/c/items", items))
    assert writing.wait(60)
    leaving.close()
    until(lambda: server.requests_in_progress == 0)
    may_write.set()
    until(lambda: client.get("/v1/collections/c").json()["items"] == 3)


def test_a_whole_collection_may_take_its_time(tmp_path):
    def slowly():
        yield b"no "
        time.sleep(0.3)  # three times what other requests have
        yield b"backup"

    with gated_server(tmp_path, request_timeout_seconds=0.1) as server:
        response = httpx.put(f"{server.url}/v1/collections/c/backup", content=slowly())
        assert (response.status_code, error(response)["code"]) == (400, "invalid_backup")
        response = httpx.put(
            f"{server.url}/v1/collections/c/backup", content=slowly(), headers={"x-request-timeout": "0.1"}
        )
        assert response.status_code == 504


def test_one_connection_serves_request_after_request(server):
    with socket.create_connection(("127.0.0.1", server.port)) as connection, connection.makefile("rb") as answers:
        for number in range(20):
            connection.sendall(raw(EMBED, words(str(number))))
            assert read_answer(answers)["usage"]["total_tokens"] == len(str(number))
    assert server.tower.ran == [str(number) for number in range(20)]


def test_pipelined_requests_are_answered_in_turn(server):
    texts = ["a", "bb", "ccc", "dddd"]
    requests = b"".join(raw(EMBED, words(text)) for text in texts)
    with sent(server, requests) as connection, connection.makefile("rb") as answers:
        assert [read_answer(answers)["usage"]["total_tokens"] for _ in texts] == [1, 2, 3, 4]


def test_a_body_may_come_in_pieces(client):
    def pieces():
        for byte in json.dumps(words("slow")).encode():
            time.sleep(0.001)
            yield bytes([byte])

    response = client.post(EMBED, content=pieces(), headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["usage"]["total_tokens"]) == (200, 4)


def read_answer(answers):
    assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
    length = 0
    while (line := answers.readline()) != b"\r\n":
        name, _, value = line.partition(b":")
        if name == b"content-length":
            length = int(value)
    return json.loads(answers.read(length))
