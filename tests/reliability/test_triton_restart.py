"""A server whose encoder runs on Triton, while Triton comes, goes and comes back."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path
from typing import Self

import httpx
import numpy as np
import pytest

from server_process import ServerProcess, folder_with_models
from simila.backends.device_choice import choose_devices
from simila.backends.registry import runtimes
from simila.backends.triton import TritonOptions
from simila.backends.triton_backend import TritonBackend
from simila.domain.errors import DeadlineExceeded, NotReady
from simila.domain.inputs import TextInput
from simila.domain.model_repository import ModelRepository
from simila.engine import model_pool
from simila.engine.encoder_starter import EngineOptions
from simila.engine.model_pool import LoadState, ModelPool
from simila_models.catalogue import bundled_manifests
from tolerances import CONGRUENT_COSINE
from triton_server import TIMEOUT_SECONDS, TritonServer, wait_for

MINILM = "all-minilm-l6-v2"
BODY = {"model": MINILM, "input": "a harbour in the rain"}
CLIENTS = 2


@pytest.fixture(scope="module")
def triton(
    installed_triton: Path, exported_repository: ModelRepository, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TritonServer]:
    """Triton, running or not, as the last test left it."""
    folder = tmp_path_factory.mktemp("triton")
    with TritonServer.prepare(installed_triton, exported_repository.root, [f"{MINILM}.text"], folder) as triton:
        yield triton


@pytest.fixture
def server(triton: TritonServer, exported_repository: ModelRepository, tmp_path: Path) -> Iterator[ServerProcess]:
    """A server, and Triton running."""
    triton.start()
    folder = folder_with_models(tmp_path / "data", exported_repository.root)
    environment = {
        "SIMILA_ENCODERS": MINILM,
        "SIMILA_DEVICE": "triton",
        "SIMILA_TRITON__ADDRESSES": triton.address,
        "SIMILA_LOG_LEVEL": "error",  # a line for each 503 fills the pipe, which nobody reads meanwhile
    }
    with ServerProcess.start(folder, environment=environment) as server:
        yield server


class Clients:
    """Ask without a pause, and keep every answer."""

    def __init__(self, url: str) -> None:
        self.answers: list[httpx.Response] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(url,)) for _ in range(CLIENTS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self, status: int) -> None:
        """Wait until requests that are sent from now on are answered so."""
        answered = len(self.answers)
        wait_for(lambda: sum(answer.status_code == status for answer in self.answers[answered:]) > CLIENTS)

    def _ask(self, url: str) -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            while not self._stop.is_set():
                self.answers.append(client.post("/v1/embeddings", json=BODY))


def vector(answer: httpx.Response) -> np.ndarray:
    return np.array(answer.json()["data"][0]["embedding"])


def test_a_killed_triton_is_503_until_it_is_back(triton: TritonServer, server: ServerProcess) -> None:
    with Clients(server.url) as clients:
        clients.wait_for_more(200)
        triton.kill()
        clients.wait_for_more(503)
        assert httpx.get(f"{server.url}/readyz").status_code == 503
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        triton.start()
        clients.wait_for_more(200)
    assert httpx.get(f"{server.url}/readyz").json() == {"ready": True, "encoders": {MINILM: "ready"}}
    statuses = Counter(answer.status_code for answer in clients.answers)
    assert set(statuses) == {200, 503}
    refusals = [answer for answer in clients.answers if answer.status_code == 503]
    assert {answer.json()["error"]["code"] for answer in refusals} == {"inference_server_down"}
    assert all(f"Triton at {triton.address}" in answer.json()["error"]["message"] for answer in refusals)
    assert {answer.headers["retry-after"] for answer in refusals} == {"1"}
    vectors = np.stack([vector(answer) for answer in clients.answers if answer.status_code == 200])
    assert (vectors @ vectors[0]).min() >= CONGRUENT_COSINE


@asynccontextmanager
async def pool_on(triton: TritonServer, repository: ModelRepository, *others: str) -> AsyncIterator[ModelPool]:
    devices = choose_devices("triton", runtimes(TritonOptions((triton.address, *others))))
    pool = ModelPool([bundled_manifests()[MINILM]], repository, EngineOptions(devices=devices, max_queue_seconds=600))
    try:
        yield pool
    finally:
        pool.close()


def test_what_the_last_request_has_left_is_not_run_by_triton(
    triton: TritonServer, exported_repository: ModelRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_sent, given_up = threading.Event(), threading.Event()
    real_run = TritonBackend.run

    def run(backend: TritonBackend, tensors: dict[str, np.ndarray]) -> np.ndarray:
        is_sent.set()
        try:
            return real_run(backend, tensors)
        except DeadlineExceeded:
            given_up.set()
            raise

    async def scenario() -> None:
        async with pool_on(triton.start(), exported_repository) as pool:
            await pool.load()
            encoder, ran = pool.get(MINILM), len(triton.rows_run)
            with triton.held_up() as reached:
                first = asyncio.create_task(encoder.embed([TextInput("first")]))
                await asyncio.to_thread(reached)
                is_sent.clear()
                leaves = asyncio.create_task(encoder.embed([TextInput("too"), TextInput("late")]))
                assert await asyncio.to_thread(is_sent.wait, TIMEOUT_SECONDS)
                leaves.cancel()
                assert await asyncio.to_thread(given_up.wait, TIMEOUT_SECONDS)
            assert not (await first).failures
            assert not (await encoder.embed([TextInput(word) for word in ["a", "b", "c"]])).failures
            assert sum(triton.rows_run[ran:]) == 1 + 3

    monkeypatch.setattr(TritonBackend, "run", run)
    asyncio.run(scenario())


def test_an_encoder_waits_for_its_triton(triton: TritonServer, exported_repository: ModelRepository) -> None:
    async def scenario() -> None:
        triton.kill()
        async with pool_on(triton, exported_repository) as pool:
            loading = asyncio.create_task(pool.load(wait_for_servers=True))
            await asyncio.to_thread(wait_for, lambda: pool.status(MINILM).error)
            assert pool.status(MINILM).state is LoadState.LOADING
            with pytest.raises(NotReady, match=f"Triton at {triton.address}"):
                pool.get(MINILM)
            await asyncio.to_thread(triton.start)
            await loading
            assert pool.status(MINILM).state is LoadState.READY

    asyncio.run(scenario())


def test_of_two_tritons_the_one_that_lives_answers(
    triton: TritonServer, installed_triton: Path, exported_repository: ModelRepository, tmp_path: Path
) -> None:
    texts = [TextInput(str(number)) for number in range(40)]

    async def scenario(other: TritonServer) -> None:
        await asyncio.gather(asyncio.to_thread(triton.start), asyncio.to_thread(other.start))
        async with pool_on(triton, exported_repository, other.address) as pool:
            await pool.load()
            ran = len(triton.rows_run), len(other.rows_run)
            before = await asyncio.gather(*(pool.get(MINILM).embed([text]) for text in texts))
            assert len(triton.rows_run) > ran[0]
            assert len(other.rows_run) > ran[1]
            triton.kill()
            after = await asyncio.gather(*(pool.get(MINILM).embed([text]) for text in texts))
        async with pool_on(triton, exported_repository, other.address) as pool:
            await pool.load()
            after += await asyncio.gather(*(pool.get(MINILM).embed([text]) for text in texts))
            requests = len(triton.rows_run)
            await asyncio.to_thread(triton.start)
            while len(triton.rows_run) < requests + 5:  # two of them are warm-up, and one a canary
                after += await asyncio.gather(*(pool.get(MINILM).embed([text]) for text in texts))
        cosines = [(one.vectors * two.vectors).sum() for one, two in zip(cycle(before), after, strict=False)]
        assert min(cosines) >= CONGRUENT_COSINE
        assert not any(one.failures for one in after)

    models = [f"{MINILM}.text"]
    with TritonServer.prepare(installed_triton, exported_repository.root, models, tmp_path / "other") as other:
        asyncio.run(scenario(other))


def test_an_encoder_that_is_unloaded_waits_no_longer(
    triton: TritonServer, exported_repository: ModelRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        triton.kill()
        async with pool_on(triton, exported_repository) as pool:
            loading = asyncio.create_task(pool.load(wait_for_servers=True))
            await asyncio.to_thread(wait_for, lambda: pool.status(MINILM).error)
            await pool.unload(MINILM)
            await asyncio.wait_for(loading, TIMEOUT_SECONDS)
            assert pool.status(MINILM).state is LoadState.UNLOADED

    monkeypatch.setattr(model_pool, "SERVER_RETRY_SECONDS", 0.05)
    asyncio.run(scenario())


def test_without_waiting_a_missing_triton_is_a_failure(
    triton: TritonServer, exported_repository: ModelRepository
) -> None:
    async def scenario() -> None:
        triton.kill()
        async with pool_on(triton, exported_repository) as pool:
            await pool.load()
            assert pool.status(MINILM).state is LoadState.FAILED
            assert f"Triton at {triton.address}" in (pool.status(MINILM).error or "")

    asyncio.run(scenario())
