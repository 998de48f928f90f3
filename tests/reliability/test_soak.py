"""Mixed requests, bad ones among them, as many as one likes: nothing grows, nothing fails, every vector is right."""

import logging
import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
import pytest

from process_state import ProcessState
from server_process import ServerProcess, folder_with_models
from simila.domain.golden import GoldenSet, read_golden_set
from simila.domain.manifest import Modality
from simila.domain.model_repository import ModelRepository
from tolerances import PARITY_COSINE

logger = logging.getLogger(__name__)

REQUESTS = int(os.environ.get("SOAK_REQUESTS", "1000"))
CLIENTS = 8
MINILM, LITE0 = "all-minilm-l6-v2", "efficientnet-lite0"
ROUNDS = 20
# Arenas and caches fill up first, and threads of pools are made when they are first needed.
WARM_ROUNDS = 5
BURST = 64
MOST_GROWTH_BYTES = 12 * 2**20
# One thread writes to a collection and ends when nothing comes.
MOST_GROWTH_THREADS = 2
MOST_GROWTH_DESCRIPTORS = 2
CLOSING_SECONDS = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, exported_repository: ModelRepository) -> Iterator[ServerProcess]:
    folder = folder_with_models(tmp_path_factory.mktemp("soak") / "data", exported_repository.root)
    environment = {"SIMILA_ENCODERS": f"{MINILM},{LITE0}", "SIMILA_LOG_LEVEL": "error"}
    with ServerProcess.start(folder, environment=environment) as server:
        httpx.put(f"{server.url}/v1/collections/soak", json={"encoder": MINILM}).raise_for_status()
        yield server


@pytest.fixture(scope="module")
def golden_texts(exported_repository: ModelRepository) -> GoldenSet:
    files = exported_repository.tower(MINILM, Modality.TEXT)
    return read_golden_set(files.golden, Modality.TEXT)


@dataclass
class Mixture:
    """Requests of all kinds, and what became of them."""

    golden: GoldenSet
    statuses: Counter[int] = field(default_factory=Counter)
    lowest_cosine: float = 1.0

    def send_all(self, client: httpx.Client, seeds: Sequence[int]) -> None:
        for seed in seeds:
            chance = random.Random(seed)
            kind: Any = chance.choice((self._golden, self._texts, self._upsert, self._search, self._delete, self._bad))
            self.statuses[kind(client, chance).status_code] += 1

    def _golden(self, client: httpx.Client, chance: random.Random) -> httpx.Response:
        number = chance.randrange(len(self.golden.inputs))
        text = self.golden.inputs[number]
        answer = client.post("/v1/embeddings", json={"model": MINILM, "input": text})
        if answer.status_code == httpx.codes.OK:
            vector = np.array(answer.json()["data"][0]["embedding"])
            self.lowest_cosine = min(self.lowest_cosine, float(vector @ self.golden.vectors[number]))
        return answer

    def _texts(self, client: httpx.Client, chance: random.Random) -> httpx.Response:
        texts = ["word " * chance.randint(1, 60) for _ in range(chance.randint(1, 8))]
        return client.post("/v1/embeddings", json={"model": MINILM, "input": texts})

    def _upsert(self, client: httpx.Client, chance: random.Random) -> httpx.Response:
        items = [{"id": str(chance.randrange(200)), "text": f"item {chance.random()}", "label": "a"}]
        return client.post("/v1/collections/soak/items", json={"items": items})

    def _search(self, client: httpx.Client, chance: random.Random) -> httpx.Response:
        body = {"text": f"item {chance.random()}", "limit": chance.randint(1, 20)}
        return client.post("/v1/collections/soak/search", json=body)

    def _delete(self, client: httpx.Client, chance: random.Random) -> httpx.Response:
        return client.delete(f"/v1/collections/soak/items/{chance.randrange(200)}")

    def _bad(self, client: httpx.Client, chance: random.Random) -> httpx.Response:
        bodies: list[Any] = [
            b"{",
            b"",
            b'{"model": "nope", "input": "a"}',
            b'{"model": "efficientnet-lite0", "input": [{"image": "aaaa"}]}',
            b'{"model": "all-minilm-l6-v2", "input": ["a", 7]}',
            chance.randbytes(1000),
        ]
        headers = {"content-type": "application/json"}
        return client.post("/v1/embeddings", content=chance.choice(bodies), headers=headers)


def test_nothing_grows_and_nothing_fails(server: ServerProcess, golden_texts: GoldenSet) -> None:
    mixture = Mixture(golden_texts)
    pid = server.process.pid
    _fill_pools(server)
    before = ProcessState.at_rest(pid)
    states: list[ProcessState] = []
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(CLIENTS))
        clients = [stack.enter_context(_client(server)) for _ in range(CLIENTS)]
        for number in range(ROUNDS):
            seeds = range(number, REQUESTS, ROUNDS)
            list(pool.map(mixture.send_all, clients, (seeds[client::CLIENTS] for client in range(CLIENTS))))
            states.append(ProcessState.at_rest(pid))
            logger.warning("%d requests, %s", mixture.statuses.total(), states[-1])
    logger.warning("%s, lowest cosine %.7f", dict(mixture.statuses), mixture.lowest_cosine)

    assert mixture.statuses.total() == REQUESTS
    assert mixture.statuses[200] > REQUESTS / 2
    assert mixture.statuses[400] + mixture.statuses[422] > 0
    assert not [status for status in mixture.statuses if status >= 500]
    assert mixture.lowest_cosine >= PARITY_COSINE
    warm = states[WARM_ROUNDS:]
    assert _growth([state.resident_bytes for state in warm]) < MOST_GROWTH_BYTES
    assert _growth([state.threads for state in warm]) < MOST_GROWTH_THREADS
    assert _growth([state.descriptors for state in warm]) < MOST_GROWTH_DESCRIPTORS
    deadline = time.monotonic() + CLOSING_SECONDS
    while ProcessState.at_rest(pid).descriptors > before.descriptors:  # the last connections close
        assert time.monotonic() < deadline


def _client(server: ServerProcess) -> httpx.Client:
    return httpx.Client(base_url=server.url, timeout=60, verify=False)  # to read certificates takes longer than to send


def _fill_pools(server: ServerProcess) -> None:
    """Have so many requests at once that every pool has made its last thread, and each has read the collection."""
    with _client(server) as client, ThreadPoolExecutor(BURST) as pool:
        list(pool.map(lambda number: client.get(f"/v1/collections/soak/items/{number}"), range(4 * BURST)))


def _growth(values: Sequence[int]) -> float:
    """What a line through values at even distances rises from the first to the last, by least squares."""
    return float(np.polyfit(np.linspace(0, 1, len(values)), values, 1)[0])
