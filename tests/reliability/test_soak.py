"""Mixed requests, bad ones among them, as many as one likes: nothing grows, nothing fails, every vector is right."""

import logging
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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

REQUESTS = int(os.environ.get("SOAK_REQUESTS", "1500"))
CLIENTS = 8
CLOSING_SECONDS = 10
MINILM, LITE0 = "all-minilm-l6-v2", "efficientnet-lite0"
ROUNDS = 5
# Arenas and caches fill up in the first rounds; what grows in proportion to requests is far more in a long run.
MOST_GROWTH_BYTES = 24 * 2**20
# Threads of the event loop's pool are made when they are first needed, and each opens the collection for itself.
LAZY_THREADS = (os.cpu_count() or 1) + 4
FILES_OF_A_STORE = 3


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

    def send(self, client: httpx.Client, seed: int) -> None:
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
    states: list[ProcessState] = []
    for round_number in range(ROUNDS):
        _round(server, mixture, seeds=range(round_number * REQUESTS, (round_number + 1) * REQUESTS, ROUNDS))
        states.append(ProcessState.of(server.process.pid))
    logger.warning("%s, lowest cosine %.7f, %s", dict(mixture.statuses), mixture.lowest_cosine, states)
    assert mixture.statuses.total() == ROUNDS * len(range(0, REQUESTS, ROUNDS))
    assert mixture.statuses[200] > REQUESTS / 2
    assert mixture.statuses[400] + mixture.statuses[422] > 0
    assert not [status for status in mixture.statuses if status >= 500]
    assert mixture.lowest_cosine >= PARITY_COSINE
    settled, last = states[1], states[-1]
    deadline = time.monotonic() + CLOSING_SECONDS
    assert last.resident_bytes - settled.resident_bytes < MOST_GROWTH_BYTES
    assert last.threads <= settled.threads + LAZY_THREADS
    while (
        ProcessState.of(server.process.pid).descriptors > settled.descriptors + FILES_OF_A_STORE * LAZY_THREADS
    ):  # the last connections close
        assert time.monotonic() < deadline


def _round(server: ServerProcess, mixture: Mixture, seeds: range) -> None:
    """Send the requests of `seeds` from a few clients, whose connections are closed afterwards."""

    def client_of(number: int) -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            for seed in seeds[number::CLIENTS]:
                mixture.send(client, seed)

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(client_of, range(CLIENTS)))
