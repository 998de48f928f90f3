"""The wall clock is set while requests are under way: nothing expires, nothing waits for the old time."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from api.gated_server import gated_server, until

BODY = {"model": "words", "input": "red"}
DAY_SECONDS = 86_400


@pytest.mark.parametrize("jump_seconds", [DAY_SECONDS, -DAY_SECONDS])
def test_a_request_survives_a_jump_of_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump_seconds: int
) -> None:
    wall_clock: Callable[[], float] = time.time
    with gated_server(tmp_path) as server, ThreadPoolExecutor(1) as pool:
        server.tower.gate.clear()
        under_way = pool.submit(httpx.post, f"{server.url}/v1/embeddings", json=BODY, timeout=60)
        until(lambda: server.tower.waiting == 1)
        monkeypatch.setattr(time, "time", lambda: wall_clock() + jump_seconds)
        server.tower.gate.set()
        assert under_way.result().status_code == httpx.codes.OK
        assert httpx.post(f"{server.url}/v1/embeddings", json=BODY, timeout=60).status_code == httpx.codes.OK
        assert httpx.get(f"{server.url}/readyz", timeout=60).status_code == httpx.codes.OK
