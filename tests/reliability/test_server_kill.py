"""`kill -9` at any moment loses no acknowledged item, over HTTP.

`SERVER_KILLS` sets the number of kills: 2, and 20 in the long mode.
"""

import itertools
import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import httpx
import numpy as np
import pytest

from api.gated_server import until
from server_process import ServerProcess, folder_with_models
from simila.domain.model_repository import ModelRepository

ONE_ENCODER = {"SIMILA_ENCODERS": '["efficientnet-lite0"]'}
DIMENSION = 1280
ROUNDS = int(os.environ.get("SERVER_KILLS", "2"))
WRITERS = 3


@pytest.fixture
def folder(tmp_path: Path, exported_repository: ModelRepository) -> Path:
    return folder_with_models(tmp_path / "data", exported_repository.root)


def vector(position: int) -> list[float]:
    return np.random.default_rng(position).normal(size=DIMENSION).tolist()


def write_until_it_dies(url: str, positions: Iterator[int], acknowledged: set[int]) -> None:
    with httpx.Client(base_url=url, verify=False) as client:
        for position in positions:
            items = [{"id": str(position), "vector": vector(position), "label": "even" if position % 2 == 0 else "odd"}]
            try:
                client.post("/v1/collections/kept/items", json={"items": items}).raise_for_status()
            except httpx.TransportError:
                return
            acknowledged.add(position)


def kill_amid_writes(
    server: ServerProcess, positions: Iterator[int], acknowledged: set[int], life_seconds: float
) -> None:
    """Kill the server so long after it has acknowledged some items more."""
    enough = len(acknowledged) + 2 * WRITERS
    with ThreadPoolExecutor(WRITERS) as pool:
        writers = [pool.submit(write_until_it_dies, server.url, positions, acknowledged) for _ in range(WRITERS)]
        try:
            until(lambda: len(acknowledged) >= enough)
            wait(writers, timeout=life_seconds)
        finally:
            server.kill()
    for writer in writers:
        writer.result()


def test_no_acknowledged_item_is_lost(folder: Path) -> None:
    acknowledged: set[int] = set()
    positions, moments = itertools.count(), random.Random(5)
    for _ in range(ROUNDS):
        with ServerProcess.start(folder, environment=ONE_ENCODER) as server:
            httpx.put(f"{server.url}/v1/collections/kept", json={"encoder": "efficientnet-lite0"}).raise_for_status()
            kill_amid_writes(server, positions, acknowledged, moments.uniform(0, 0.6))
    with (
        ServerProcess.start(folder, environment=ONE_ENCODER) as server,
        httpx.Client(base_url=server.url, verify=False) as client,
    ):
        stored = client.get("/v1/collections/kept").json()
        assert len(acknowledged) <= stored["items"] <= len(acknowledged) + ROUNDS * WRITERS
        for position in acknowledged:
            [hit] = client.post("/v1/collections/kept/search", json={"vector": vector(position), "limit": 1}).json()[
                "results"
            ]
            assert (hit["id"], round(hit["score"], 5)) == (str(position), 1.0)
        answer = client.post("/v1/collections/kept/classify", json={"input": {"vector": vector(0)}}).json()
        assert {entry["label"] for entry in answer["data"][0]["predictions"]} == {"even", "odd"}
