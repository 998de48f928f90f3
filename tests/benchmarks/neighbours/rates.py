"""Queries a second and what one costs: a server, FAISS alone, and a server that looks for nothing, in turns."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import astuple, dataclass
from statistics import median
from typing import Self

from speed.bench import Bench
from speed.servers import Server
from speed.wrk import Bodies, run_wrk

from neighbours.raw_faiss import RawFaiss
from neighbours.served import ServedCollection

CONNECTIONS = 16
SINGLE_REQUESTS = 500


@dataclass(frozen=True)
class Rates:
    """Queries a second, milliseconds of a processor that a query takes, and latencies. `raw` is one query a call."""

    raw: float
    raw_one_thread: float
    empty: float  # requests over HTTP that look for nothing
    served: float
    raw_cpu_ms: float
    raw_batch_cpu_ms: float  # with `CONNECTIONS` queries a call
    empty_cpu_ms: float
    served_cpu_ms: float
    added_p50_ms: float
    empty_p50_ms: float

    @property
    def ratio(self) -> float:
        return self.served / self.raw

    @property
    def cpu_ratio(self) -> float:
        """What raw FAISS takes of a processor for a query, beside what the server takes."""
        return self.raw_cpu_ms / self.served_cpu_ms

    @classmethod
    def median(cls, rounds: Sequence[Self]) -> Self:
        return cls(*(median(values) for values in zip(*map(astuple, rounds), strict=True)))


def rates(bench: Bench, collection: ServedCollection, bodies: Bodies, raw: RawFaiss, empty: Server) -> Rates:
    """Let everybody have a turn in each round, and take the median of the rounds."""
    count = max(200, round(raw.figures(200).queries_a_second * bench.seconds))
    rounds = []
    for number in range(bench.rounds):
        collection.wait_until_idle()
        alone, one_thread, batches = (
            raw.figures(count),
            raw.figures(count, threads=1),
            raw.figures(count, threads=1, queries_a_call=CONNECTIONS),
        )
        busy, single = _load(collection.server, bodies, count)
        empty_busy, empty_single = _load(empty, bodies, count)
        rounds.append(
            Rates(
                raw=alone.queries_a_second,
                raw_one_thread=one_thread.queries_a_second,
                empty=empty_busy.rate,
                served=busy.rate,
                raw_cpu_ms=alone.cpu_ms,
                raw_batch_cpu_ms=batches.cpu_ms,
                empty_cpu_ms=empty_busy.cpu_ms,
                served_cpu_ms=busy.cpu_ms,
                added_p50_ms=single.p50_ms - one_thread.p50_ms,
                empty_p50_ms=empty_single.p50_ms,
            )
        )
        bench.tell(f"round {number + 1}: {rounds[-1]}")
    return Rates.median(rounds)


@dataclass(frozen=True)
class _Turn:
    rate: float
    cpu_ms: float
    p50_ms: float


def _load(server: Server, bodies: Bodies, requests: int) -> tuple[_Turn, _Turn]:
    """`requests` searches over `CONNECTIONS` connections, then some alone."""
    return _turn(server, bodies, CONNECTIONS, requests), _turn(server, bodies, 1, SINGLE_REQUESTS)


def _turn(server: Server, bodies: Bodies, connections: int, requests: int) -> _Turn:
    before = server.cpu_seconds()
    figures = run_wrk(server.url, bodies, connections=connections, first=0, requests=requests, beside=nullcontext())
    cpu_ms = 1000 * (server.cpu_seconds() - before) / requests
    return _Turn(requests / figures.seconds, cpu_ms, figures.p50_ms)


def warm_up(server: Server, bodies: Bodies, requests: int) -> None:
    run_wrk(server.url, bodies, connections=CONNECTIONS, first=0, requests=requests, beside=nullcontext())
