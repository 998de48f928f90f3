"""How soon a server is there, and whether it grows."""

import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from simila.settings import DEFAULT_ENCODERS
from speed.bench import Bench
from speed.corpus import mixed_texts, sentences
from speed.loads import JSON, SIMILA, Item
from speed.photographs import jpegs
from speed.scenarios import IMAGE_ENCODERS, TEXT_ENCODER, tokenizer
from speed.servers import ServerFailed
from speed.wrk import Bodies, run_wrk

MEBI = 2**20
SAMPLES = 50
CONNECTIONS = 16
MIXED_BODIES = 4000
SEED = 5

COLD_START_ENCODERS = ((TEXT_ENCODER,), DEFAULT_ENCODERS)
# What no server of these packages starts without.
PACKAGES_AND_GRAPHS = """
import sys
import faiss, fastapi, httpx, numpy, onnxruntime, PIL.Image, pyarrow, tokenizers, typer, uvicorn
sessions = [onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"]) for graph in sys.argv[1:]]
"""


@dataclass(frozen=True)
class ColdStart:
    """Medians, in seconds from the start of the process; the limit imports packages and loads graphs, no more."""

    encoders: tuple[str, ...]
    seconds_to_ready: float
    seconds_to_first_vector: float
    limit_seconds: float
    starts: int


@dataclass(frozen=True)
class Memory:
    """Resident memory over many requests, at even distances."""

    encoders: tuple[str, ...]
    requests: int
    mebibytes_after_load: float
    mebibytes: tuple[float, ...]
    slope_mebibytes_per_10_000_requests: float
    """Least squares over the last half."""


def cold_start(bench: Bench, encoders: tuple[str, ...]) -> ColdStart:
    """Start the server with `encoders`, several times, and ask it for a vector at once; the limit takes turns."""
    graphs = [
        bench.repository.exported_tower(manifest, modality).onnx
        for manifest in map(bench.encoder, encoders)
        for modality in manifest.modalities
    ]
    ready, first_vector, limit = [], [], []
    for _ in range(bench.rounds):
        limit.append(_seconds_of_packages_and_graphs(graphs))
        with bench.simila(encoders) as server:
            status, _answer = server.post(SIMILA.path, JSON, SIMILA.body(TEXT_ENCODER, ("hello",)))
            if status != 200:
                raise ServerFailed(f"the first request was answered with {status}")
            ready.append(server.seconds_to_ready)
            first_vector.append(time.perf_counter() - server.started_at)
        bench.tell(f"cold start: ready after {ready[-1]:.2f} s, packages and graphs alone {limit[-1]:.2f} s")
    return ColdStart(encoders, median(ready), median(first_vector), median(limit), bench.rounds)


def _seconds_of_packages_and_graphs(graphs: Sequence[Path]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", PACKAGES_AND_GRAPHS, *map(str, graphs)], check=True)
    return time.perf_counter() - began


def memory(bench: Bench, requests: int) -> Memory:
    """Send requests of varied shapes in `SAMPLES` parts and read the resident memory after each."""
    encoders = (TEXT_ENCODER, IMAGE_ENCODERS[0])
    bodies = Bodies.written(
        bench.scratch / "mixed", _mixed_bodies(bench), path=SIMILA.path, content_type=SIMILA.content_type
    )
    part = requests // SAMPLES
    with bench.simila(encoders) as server:
        loaded = server.resident_bytes() / MEBI
        resident = []
        for number in range(SAMPLES):
            run_wrk(
                server.url, bodies, connections=CONNECTIONS, first=number * part, requests=part, beside=nullcontext()
            )
            resident.append(server.resident_bytes() / MEBI)
            bench.tell(f"memory: {(number + 1) * part} requests, {resident[-1]:.0f} MiB")
    return Memory(encoders, part * SAMPLES, loaded, tuple(resident), slope_per_10_000(resident, part))


def slope_per_10_000(resident: Sequence[float], part: int) -> float:
    """Growth over the last half of samples that are `part` requests apart, per 10,000 requests."""
    last_half = resident[len(resident) // 2 :]
    slope = float(np.polyfit(np.arange(len(last_half)) * part, last_half, 1)[0])
    return slope * 10_000


def _mixed_bodies(bench: Bench) -> list[bytes]:
    """Single sentences mostly; lists of up to 16 texts, some long; images of many sizes."""
    random = np.random.default_rng(SEED)
    for name in (TEXT_ENCODER, IMAGE_ENCODERS[0]):
        bench.encoder(name)
    texts = mixed_texts(tokenizer(bench, TEXT_ENCODER), MIXED_BODIES)
    images = [
        jpeg
        for width, height in random.integers(50, 900, (40, 2)).tolist()
        for jpeg in jpegs(1, width=width, height=height)
    ]
    return [_mixed_body(random, texts, images) for _ in range(MIXED_BODIES)]


def _mixed_body(random: np.random.Generator, texts: Sequence[str], images: Sequence[bytes]) -> bytes:
    kind = random.random()
    if kind < 0.1:
        return SIMILA.body(IMAGE_ENCODERS[0], (images[random.integers(len(images))],))
    if kind < 0.8:
        return SIMILA.body(TEXT_ENCODER, (sentences()[random.integers(len(sentences()))],))
    chosen: tuple[Item, ...] = tuple(texts[random.integers(len(texts))] for _ in range(random.integers(1, 17)))
    return SIMILA.body(TEXT_ENCODER, chosen)
