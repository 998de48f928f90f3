"""What the headers of an answer tell: where the time went, and when to come back."""

import httpx
import pytest

from api.gated_server import gated_server
from api.wire import error
from simila.domain.errors import Overloaded
from simila.domain.inputs import Timings


@pytest.fixture
def server(tmp_path):
    with gated_server(tmp_path) as server:
        yield server


@pytest.mark.parametrize("accept", ["application/json", "application/octet-stream"])
def test_where_the_time_went_in_milliseconds(server, accept):
    server.tower.timings = Timings(preprocess_seconds=0.00126, queue_seconds=0.5, inference_seconds=1.0)
    body = {"model": "words", "input": ["one", "three"], "dimensions": 3}
    headers = httpx.post(f"{server.url}/v1/embeddings", json=body, headers={"accept": accept}).headers
    assert headers["x-preprocess-time"] == "1.3"
    assert headers["x-queue-time"] == "500.0"
    assert headers["x-inference-time"] == "1000.0"
    assert headers["x-compute-tokens"] == "8"


def test_the_total_is_measured_around_it_all(server):
    server.tower.gate.clear()
    no_patience = httpx.Timeout(60, read=0.2)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{server.url}/v1/embeddings", json={"model": "words", "input": "first"}, timeout=no_patience)
    server.tower.gate.set()
    form = {"model": (None, "words"), "input": (None, "next")}
    total = httpx.post(f"{server.url}/v1/embeddings", files=form).headers["x-total-time"]
    assert 0 < float(total) < 10_000
    assert total == f"{float(total):.1f}"


def test_a_full_server_says_when_to_come_back(server):
    server.tower.refusal = Overloaded("too much work waits", retry_after_seconds=2.4)
    for path, body in {
        "/v1/embeddings": {"model": "words", "input": "a"},
        "/v1/classify": {"model": "words", "input": "a", "labels": ["b", "c"]},
    }.items():
        response = httpx.post(f"{server.url}{path}", json=body)
        assert (response.status_code, response.headers["retry-after"]) == (429, "3")
        assert error(response)["code"] == "overloaded"
