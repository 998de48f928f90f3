"""A real server whose encoder has no weights and waits at a gate, so that a test decides how long a batch takes."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import uvicorn

from simila.api.application import create_api
from simila.api.doorkeeper import Doorkeeper
from simila.api.grpc_transport import GrpcTransport
from simila.api.http_server import DrainingServer
from simila.app import Stores, compose_services
from simila.domain.errors import Overloaded
from simila.domain.inputs import Embedded, Timings
from simila.domain.manifest import Modality
from simila.engine.encoder import Encoder
from simila.engine.micro_batcher import MicroBatcher
from simila.engine.waiting_rows import BatchLimits
from simila.services.drain import Drain
from simila.settings import LimitSettings, Settings
from simila.telemetry.logs import RequestLog
from unit.services.word_encoders import DIMENSION, TEXT, ZERO_SHOT, direction, manifest_of, pool_of

PATIENCE_SECONDS = 60


class GatedTower:
    """Runs one text at a time in a real batcher, and only while the gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.ran: list[str] = []
        self.waiting = 0
        self.abandoned = 0
        self.timings = Timings()
        self.refusal: Overloaded | None = None
        self._batcher = MicroBatcher(
            "gated", self._run, length=lambda _: 1, dimension=DIMENSION, limits=BatchLimits(1, padded_length=1)
        )

    async def embed(self, inputs, *, truncate):
        if self.refusal:
            raise self.refusal
        self.waiting += 1
        try:
            batched = await self._batcher.submit([entry.text for entry in inputs])
        except asyncio.CancelledError:
            self.abandoned += 1
            raise
        finally:
            self.waiting -= 1
        tokens = tuple(len(entry.text) for entry in inputs)
        return Embedded(batched.vectors, tokens, (not truncate,) * len(inputs), {}, self.timings)

    def _run(self, texts):
        self.ran += texts
        assert self.gate.wait(PATIENCE_SECONDS)
        return np.stack([direction(text) for text in texts])

    def close(self) -> None:
        self.gate.set()
        self._batcher.close()


@dataclass
class GatedServer:
    url: str
    port: int
    tower: GatedTower
    uvicorn: uvicorn.Server
    drain: Drain

    @property
    def requests_in_progress(self) -> int:
        return len(self.uvicorn.server_state.tasks)


@contextmanager
def gated_server(
    folder: Path, *others: Encoder, request_timeout_seconds: float = 60, grpc_address: str | None = None
) -> Iterator[GatedServer]:
    """Serve the encoder `words`, its gate open, and `others`."""
    tower = GatedTower()
    tower.gate.set()
    drain = Drain()
    manifest = manifest_of("words", text=TEXT, zero_shot=ZERO_SHOT)
    pool = pool_of(folder / "models", Encoder(manifest, {Modality.TEXT: tower}), *others)
    settings = Settings(data_dir=folder, limits=LimitSettings(max_body_bytes=1_000_000), audit=False)
    stores = Stores.open(settings)
    door = Doorkeeper(stores.keys)
    log = RequestLog(share=1)
    grpc = GrpcTransport(grpc_address, max_message_bytes=1_000_000, timeout_seconds=request_timeout_seconds)

    @asynccontextmanager
    async def lifespan(app):
        app.state.services = services = compose_services(settings, pool, stores, drain)
        async with grpc.serving(services, door=door, drain=drain, log=log):
            yield

    app = create_api(
        lifespan,
        max_body_bytes=1_000_000,
        max_decompressed_bytes=1_000_000,
        max_backup_bytes=1_000_000,
        request_timeout_seconds=request_timeout_seconds,
        door=door,
        drain=drain,
        log=log,
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        config = uvicorn.Config(app, lifespan="on", log_config=None)
        server = DrainingServer(config, drain, grace_seconds=PATIENCE_SECONDS)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        until(lambda: server.started)
        try:
            yield GatedServer(f"http://127.0.0.1:{port}", port, tower, server, drain)
        finally:
            tower.gate.set()
            server.should_exit = True
            thread.join()
            pool.close()
            asyncio.run(stores.close())


def until(holds: Callable[[], bool]) -> None:
    """Wait for what another thread is about to bring about."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)
