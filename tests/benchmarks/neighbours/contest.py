"""One corpus through a server, and in turns with it FAISS alone on the same index, and HTTP alone."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import orjson
from speed.bench import Bench
from speed.clip_export import CLIP
from speed.servers import Server

from neighbours.rates import Rates, rates, warm_up
from neighbours.raw_faiss import RawFaiss
from neighbours.served import ServedCollection
from neighbours.vectors import NEIGHBOURS, Corpus, Int64
from simila.index.generations import current_generation

ENCODER_OF = {384: "all-minilm-l6-v2", 512: CLIP}
PROGRAM_OF = {384: ("-m", "simila"), 512: (str(Path(__file__).with_name("without_captions.py")),)}
EMPTY = Path(__file__).with_name("empty_route.py")
PATH = "/v1/collections/bench"
# A body is tuned anew after 256 real queries, and after sixteen times as many.
WARM_UP_REQUESTS = 4_500
BUCKETS = {"0.1 %": 1, "1 %": 10, "10 %": 100, "50 %": 500}
MEBI = 2**20


@dataclass(frozen=True)
class IndexResult:
    """What one corpus came to; recalls are at 10."""

    corpus: str
    rows: int
    kind: str
    setting: str
    ingested_a_second: float
    build_seconds: float
    start_seconds: float
    disk_factor: float  # disk used, in vectors
    resident_mebibytes: float  # what the collection adds to the server, its mapped index included
    index_mebibytes: float  # what its index needs
    rates: Rates
    recall: float
    measured_recall: dict[str, float]
    filtered_recall: dict[str, float]

    @classmethod
    def read(cls, file: Path) -> Self:
        found = orjson.loads(file.read_bytes())
        return cls(**{**found, "rates": Rates(**found["rates"])})


@dataclass(frozen=True)
class Filled:
    """How a collection came to hold a corpus and to be indexed. Kept beside it, so that it need not be filled again."""

    index: dict[str, Any]
    ingested_a_second: float
    build_seconds: float

    @classmethod
    def read(cls, file: Path) -> Self | None:
        return cls(**orjson.loads(file.read_bytes())) if file.exists() else None

    def write(self, file: Path) -> None:
        file.write_bytes(orjson.dumps(asdict(self)))


def fill(bench: Bench, corpus: Corpus) -> Filled:
    """Send a corpus to a new collection, and wait for its index."""
    dimension = corpus.vectors.shape[1]
    encoder = ENCODER_OF[dimension]
    with bench.simila([encoder], PROGRAM_OF[dimension]) as server:
        collection = ServedCollection(server, PATH)
        collection.create(encoder)
        ingested = collection.fill(corpus)
        bench.tell(f"{corpus.name}: {ingested:.0f} vectors a second")
        index, build_seconds = collection.wait_until_built(bench.tell)
        bench.tell(f"{corpus.name}: {index['kind']} after {build_seconds:.0f} s")
        _stop(server)
    return Filled(index, ingested, build_seconds)


def measure(bench: Bench, empty_bench: Bench, corpus: Corpus, filled: Filled) -> IndexResult:
    """Start a server on a filled collection, and search; `empty_bench` has a data folder without one."""
    dimension = corpus.vectors.shape[1]
    encoder, index = ENCODER_OF[dimension], filled.index
    vectors_file, queries_file = bench.scratch / "vectors.npy", bench.scratch / "queries.npy"
    np.save(vectors_file, corpus.vectors)
    np.save(queries_file, corpus.queries)
    generation = current_generation(bench.data_dir / "collections" / "bench")
    with (
        empty_bench.simila([encoder], program=[str(EMPTY)]) as empty,
        bench.simila([encoder], PROGRAM_OF[dimension]) as server,
    ):
        collection = ServedCollection(server, PATH)
        bodies = collection.written_bodies(corpus, bench.scratch / "searches")
        warm_up(server, bodies, WARM_UP_REQUESTS)
        collection.wait_until_idle()
        bench.tell(f"{corpus.name}: ready after {server.seconds_to_ready:.1f} s, and warm; recall follows")
        recall = recall_at_10(collection.neighbours(corpus), corpus.true_neighbours())
        filtered = {
            share: recall_at_10(
                collection.neighbours(corpus, filter={"bucket": {"$lt": most}}), corpus.true_neighbours(most)
            )
            for share, most in BUCKETS.items()
        }
        bench.tell(f"recall {recall:.3f}, filtered {filtered}")
        with RawFaiss(generation, vectors_file, queries_file) as raw:
            turns = rates(bench, collection, bodies, raw, empty)
        described = collection.described()
        empty_bytes = empty.anonymous_bytes()
        resident_bytes = server.anonymous_bytes() - empty_bytes + _mapped_bytes(generation)
    return IndexResult(
        corpus=corpus.name,
        rows=len(corpus.vectors),
        kind=index["kind"],
        setting=_setting(described["index"]),
        ingested_a_second=filled.ingested_a_second,
        build_seconds=filled.build_seconds,
        start_seconds=server.seconds_to_ready,
        disk_factor=described["disk_bytes"] / corpus.vectors.nbytes,
        resident_mebibytes=resident_bytes / MEBI,
        index_mebibytes=_index_bytes(described, corpus) / MEBI,
        rates=turns,
        recall=recall,
        measured_recall=described["index"]["recall_at_10"] or {},
        filtered_recall=filtered,
    )


def recall_at_10(found: Int64, truth: Int64) -> float:
    """The share of the true neighbours that were found."""
    hits = sum(len(np.intersect1d(row, true)) for row, true in zip(found, truth, strict=True))
    return hits / (len(truth) * NEIGHBOURS)


def _setting(index: dict[str, Any]) -> str:
    return f"effort {index['effort']}, rerank {index['rerank_factor']}" if index["effort"] else ""


def _index_bytes(described: dict[str, object], corpus: Corpus) -> float:
    index = described["index"]
    assert isinstance(index, dict)
    if index["bytes_per_vector"]:
        return float(index["bytes_per_vector"] * len(corpus.vectors))
    return float(corpus.vectors.nbytes)


def _mapped_bytes(generation: Path) -> int:
    """The saved index, which the server maps; the database's pages are the system's cache."""
    return sum(file.stat().st_size for file in generation.glob("body-*.faiss"))


def _stop(server: Server) -> None:
    server.process.terminate()
    server.process.wait(timeout=60)
    time.sleep(0.1)
