"""More work than the server takes on: what is admitted is right, what is not is told so, and then all is as before.

`OVERLOAD_REQUESTS` sets how often each client asks: 2, and 100 in the long mode. How much is left of the throughput is
for `make bench ARGS='--scenario overload'`.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest

from server_process import ServerProcess, folder_with_models
from simila.domain.model_repository import ModelRepository
from tolerances import PARITY_COSINE

MINILM = "all-minilm-l6-v2"
CLIENTS = 40
REQUESTS_A_CLIENT = int(os.environ.get("OVERLOAD_REQUESTS", "2"))
TEXTS = [f"{'some words that take their time ' * 25} {number}" for number in range(8)]
# Past these the answer would be 504.
LONGEST_SECONDS = {"X-Request-Timeout": "60"}
RECOVERY_SECONDS = {"X-Request-Timeout": "30"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, exported_repository: ModelRepository) -> Iterator[ServerProcess]:
    folder = folder_with_models(tmp_path_factory.mktemp("overload") / "data", exported_repository.root)
    environment = {"SIMILA_ENCODERS": MINILM, "SIMILA_ENGINE__MAX_QUEUE_SECONDS": "0.25"}
    with ServerProcess.start(folder, environment=environment) as server:
        yield server


def embed(client: httpx.Client, texts: list[str], headers: dict[str, str]) -> httpx.Response:
    return client.post("/v1/embeddings", json={"model": MINILM, "input": texts}, headers=headers)


def vectors(answer: httpx.Response) -> np.ndarray:
    return np.array([entry["embedding"] for entry in answer.json()["data"]])


def test_overload_is_refused_in_part_and_over_when_it_ends(server: ServerProcess) -> None:
    def insistent(_: int) -> list[httpx.Response]:
        with httpx.Client(base_url=server.url, timeout=90, verify=False) as client:
            return [embed(client, TEXTS, LONGEST_SECONDS) for _ in range(REQUESTS_A_CLIENT)]

    with httpx.Client(base_url=server.url, timeout=90, verify=False) as client:
        expected = vectors(embed(client, TEXTS, LONGEST_SECONDS))
        with ThreadPoolExecutor(CLIENTS) as pool:
            answers = [answer for some in pool.map(insistent, range(CLIENTS)) for answer in some]
        after = embed(client, ["and now?"], RECOVERY_SECONDS)

    assert after.status_code == httpx.codes.OK
    admitted = [answer for answer in answers if answer.status_code == httpx.codes.OK]
    refused = [answer for answer in answers if answer.status_code == httpx.codes.TOO_MANY_REQUESTS]
    assert len(admitted) + len(refused) == CLIENTS * REQUESTS_A_CLIENT
    assert admitted
    assert refused
    for answer in refused:
        assert answer.json()["error"]["code"] == "overloaded"
        assert int(answer.headers["retry-after"]) >= 1
    for answer in admitted:
        assert np.einsum("nd,nd->n", vectors(answer), expected).min() > PARITY_COSINE
