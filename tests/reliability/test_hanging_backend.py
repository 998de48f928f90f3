"""A backend that does not come back: its own requests end at their deadlines, all others are answered."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from api.gated_server import GatedTower, gated_server, until
from simila.domain.manifest import Modality
from simila.engine.encoder import Encoder
from unit.services.word_encoders import TEXT, manifest_of

CLIENTS = 20
DEADLINE = {"X-Request-Timeout": "1"}


def test_who_waits_for_it_is_told_at_the_deadline_and_nobody_else_waits(tmp_path: Path) -> None:
    healthy = GatedTower()
    healthy.gate.set()
    beside = Encoder(manifest_of("healthy", text=TEXT), {Modality.TEXT: healthy})
    with (
        gated_server(tmp_path, beside) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
        ThreadPoolExecutor(CLIENTS) as pool,
    ):

        def status(encoder: str, text: str) -> int:
            body = {"model": encoder, "input": text}
            return client.post("/v1/embeddings", json=body, headers=DEADLINE if encoder == "words" else {}).status_code

        server.tower.gate.clear()
        hung = pool.submit(status, "words", "hung")
        until(lambda: server.tower.ran == ["hung"])
        waiting = [pool.submit(status, "words", f"waits {number}") for number in range(CLIENTS - 1)]
        assert [status("healthy", f"text {number}") for number in range(CLIENTS)] == [httpx.codes.OK] * CLIENTS
        assert {request.result() for request in (hung, *waiting)} == {httpx.codes.GATEWAY_TIMEOUT}

        server.tower.gate.set()
        assert client.post("/v1/embeddings", json={"model": "words", "input": "after"}).status_code == httpx.codes.OK
        assert server.tower.ran == ["hung", "after"]
