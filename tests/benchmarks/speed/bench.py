"""What all scenarios share: the data folder, the encoders, how long to measure, and the servers of this run."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
from peers import infinity

from simila.domain.manifest import Manifest
from simila.domain.model_repository import ModelRepository
from simila_models.catalogue import bundled_manifests
from simila_models.export import export_encoder
from simila_models.progress import Silent
from simila_models.sources import fetch_sources
from speed.clip_export import CLIP, checkpoint_folder, export_random_clip
from speed.contest import Served
from speed.loads import Load, Wire
from speed.references import Check
from speed.servers import Server, answers, free_port, running, says
from speed.wrk import Bodies

READY = "Simila is ready on"
SERVED = "simila"
PEER = "infinity"


@dataclass(frozen=True)
class Bench:
    """`data_dir` has the exported encoders, `scratch` is empty at first and thrown away."""

    data_dir: Path
    scratch: Path
    rounds: int
    seconds: float
    peer_folder: Path | None
    tell: Callable[[str], None]

    @property
    def repository(self) -> ModelRepository:
        return ModelRepository(self.data_dir / "models")

    def encoder(self, name: str) -> Manifest:
        """Fetch and export an encoder unless it is there."""
        self.tell(f"{name}: fetched and exported unless it is there")
        if name == CLIP:
            return export_random_clip(self.data_dir, self.repository, Silent())
        manifest = bundled_manifests()[name]
        export_encoder(manifest, self.repository, self.data_dir / "sources", Silent())
        return manifest

    @contextmanager
    def simila(
        self, encoders: Sequence[str], program: Sequence[str] = ("-m", "simila"), **settings: str
    ) -> Iterator[Server]:
        """Serve these encoders with the default settings, but for those that are given by their environment's names."""
        port, log = free_port(), self.scratch / "simila.log"
        log.unlink(missing_ok=True)
        command = [sys.executable, *program, "serve", "--port", str(port), "--data-dir", str(self.data_dir)]
        # On ONNX Runtime as the limit is, whatever `auto` would find to be faster.
        fixed = {"SIMILA_ENCODERS": orjson.dumps(list(encoders)).decode(), "SIMILA_DEVICE": "cpu"}
        environment = {**os.environ, **fixed, **settings}
        with running(
            SERVED, command, port=port, log=log, is_ready=says(log, READY), environment=environment, folder=self.scratch
        ) as server:
            yield server

    @contextmanager
    def infinity(self, manifest: Manifest) -> Iterator[Server]:
        """Serve the same checkpoint with the peer: texts by its ONNX engine, images by torch, its only one for them."""
        assert self.peer_folder
        program = infinity.installed(self.peer_folder / PEER)
        if manifest.name == CLIP:
            engine, folder = "torch", checkpoint_folder(self.data_dir)
        else:
            files = fetch_sources(manifest, self.data_dir / "sources", Silent())
            engine = "optimum"
            folder = infinity.sentence_folder(manifest, files, checkpoint_folder(self.data_dir).parent / manifest.name)
        port, log = free_port(), self.scratch / "infinity.log"
        with running(
            PEER,
            infinity.command(program, manifest.name, engine=engine, port=port),
            port=port,
            log=log,
            is_ready=answers(port, "/health"),
            environment=infinity.environment(self.peer_folder / "huggingface"),
            folder=folder,
        ) as server:
            yield server

    def served(self, name: str, load: Load, server: Server, wire: Wire, probed: Sequence[int], check: Check) -> Served:
        """Write the bodies of a load as this server wants them."""
        bodies = [wire.body(load.encoder, group) for group in load.groups]
        file = Bodies.written(
            self.scratch / f"{load.name}-{name}", bodies, path=wire.path, content_type=wire.content_type
        )
        return Served(name, load, server, file, [(number, bodies[number]) for number in probed], check)
