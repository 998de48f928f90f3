"""One corpus through a server, and FAISS alone on the same index in turns with it."""

import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from speed.bench import Bench
from speed.clip_export import CLIP
from speed.servers import Server
from speed.wrk import run_wrk

from neighbours.raw_faiss import RawFaiss
from neighbours.served import ServedCollection
from neighbours.vectors import NEIGHBOURS, Corpus, Int64
from simila.index.generations import current_generation

ENCODER_OF = {384: "all-minilm-l6-v2", 512: CLIP}
CONNECTIONS = 16
BUCKETS = {"0.1 %": 1, "1 %": 10, "10 %": 100, "50 %": 500}
MEBI = 2**20


@dataclass(frozen=True)
class IndexResult:
    """What one corpus came to. Rates are queries a second; recalls are at 10."""

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
    raw: float
    served: float
    added_p50_ms: float
    recall: float
    measured_recall: dict[str, float]
    filtered_recall: dict[str, float]

    @property
    def ratio(self) -> float:
        return self.served / self.raw


def measure(bench: Bench, corpus: Corpus, folder: Path) -> IndexResult:
    """Fill a collection, wait for its index, start again, and search."""
    encoder = ENCODER_OF[corpus.vectors.shape[1]]
    path = "/v1/collections/bench"
    with bench.simila([encoder]) as server:
        collection = ServedCollection(server, path)
        empty_bytes = server.anonymous_bytes()
        collection.create(encoder)
        ingested = collection.fill(corpus)
        bench.tell(f"{corpus.name}: {ingested:.0f} vectors a second")
        index, build_seconds = collection.wait_until_built(bench.tell)
        bench.tell(f"{corpus.name}: {index['kind']} after {build_seconds:.0f} s")
        _stop(server)
    vectors_file, queries_file = bench.scratch / "vectors.npy", bench.scratch / "queries.npy"
    np.save(vectors_file, corpus.vectors)
    np.save(queries_file, corpus.queries)
    generation = current_generation(folder)
    with bench.simila([encoder]) as server, RawFaiss(generation, vectors_file, queries_file) as raw:
        collection = ServedCollection(server, path)
        recall = recall_at_10(collection.neighbours(corpus), corpus.true_neighbours())
        filtered = {
            share: recall_at_10(
                collection.neighbours(corpus, filter={"bucket": {"$lt": most}}), corpus.true_neighbours(most)
            )
            for share, most in BUCKETS.items()
        }
        rates = _rates(bench, collection, corpus, raw)
        described = collection.described()
        resident_bytes = server.anonymous_bytes() - empty_bytes + _mapped_bytes(generation)
    return IndexResult(
        corpus=corpus.name,
        rows=len(corpus.vectors),
        kind=index["kind"],
        setting=f"effort {index['effort']}, rerank {index['rerank_factor']}" if index["effort"] else "",
        ingested_a_second=ingested,
        build_seconds=build_seconds,
        start_seconds=server.seconds_to_ready,
        disk_factor=described["disk_bytes"] / corpus.vectors.nbytes,
        resident_mebibytes=resident_bytes / MEBI,
        index_mebibytes=_index_bytes(described, corpus) / MEBI,
        raw=rates.raw,
        served=rates.served,
        added_p50_ms=rates.added_p50_ms,
        recall=recall,
        measured_recall=index["recall_at_10"] or {},
        filtered_recall=filtered,
    )


@dataclass(frozen=True)
class _Rates:
    raw: float
    served: float
    added_p50_ms: float


def _rates(bench: Bench, collection: ServedCollection, corpus: Corpus, raw: RawFaiss) -> _Rates:
    bodies = collection.written_bodies(corpus, bench.scratch / "searches")
    count = max(200, round(raw.figures(200).queries_a_second * bench.seconds))
    raw_rates, served_rates, added = [], [], []
    for number in range(bench.rounds):
        alone = raw.figures(count)
        busy = run_wrk(
            collection.server.url, bodies, connections=CONNECTIONS, first=0, requests=count, beside=nullcontext()
        )
        single = run_wrk(collection.server.url, bodies, connections=1, first=0, requests=200, beside=nullcontext())
        raw_rates.append(alone.queries_a_second)
        served_rates.append(count / busy.seconds)
        added.append(single.p50_ms - alone.p50_ms)
        bench.tell(f"round {number + 1}: raw {raw_rates[-1]:.0f}/s, served {served_rates[-1]:.0f}/s")
    return _Rates(median(raw_rates), median(served_rates), median(added))


def recall_at_10(found: Int64, truth: Int64) -> float:
    """The share of the true neighbours that were found."""
    hits = sum(len(np.intersect1d(row, true)) for row, true in zip(found, truth, strict=True))
    return hits / (len(truth) * NEIGHBOURS)


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
