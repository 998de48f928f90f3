"""What is left of the throughput when ten times the clients come, none of which keeps to `Retry-After`."""

import resource
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from http import HTTPStatus
from statistics import median, quantiles

from speed.bench import Bench
from speed.corpus import short_texts
from speed.loads import SIMILA
from speed.photographs import jpegs
from speed.probe import OK, Answer, Probe
from speed.scenarios import IMAGE_BODIES, IMAGE_ENCODERS, TEXT_BODIES, TEXT_ENCODER, tokenizer
from speed.servers import Server
from speed.wrk import Bodies, Statuses, run_wrk_for

CONNECTIONS = {TEXT_ENCODER: 32, IMAGE_ENCODERS[0]: 16}
FACTOR = 10
PROBES = 8
REFUSED = HTTPStatus.TOO_MANY_REQUESTS
QUEUE_SECONDS = 0.25
"""So short that most of ten times the clients are refused; with the default of 5 s all of them find a place."""


@dataclass(frozen=True)
class Overload:
    """Medians of the rounds: answers a second of one encoder, at the peak and with `FACTOR` times the connections."""

    encoder: str
    connections: int
    queue_seconds: float
    peak: float
    goodput: float
    refusals: float
    failed: int  # answers other than 200 and 429, all rounds together
    admitted_p99_ms: float
    recovered_after_ms: float  # the longest, from the end of the overload to an answer to a new client
    peak_cpu_ms: float  # processor time of the server for each answer, which neighbours on the machine change little
    cpu_ms: float  # the same with ten times the connections, refusals and all
    load_cores: float  # what wrk itself took meanwhile

    @property
    def ratio(self) -> float:
        return self.goodput / self.peak


@dataclass(frozen=True)
class _Run:
    """What the clients were answered, and what that took of the machine."""

    answers: Statuses
    server_seconds: float
    wrk_seconds: float

    @property
    def cpu_ms(self) -> float:
        return 1000 * self.server_seconds / self.answers.admitted


@dataclass(frozen=True)
class _Round:
    peak: _Run
    overloaded: _Run
    admitted_ms: Sequence[float]
    recovered_after_ms: float


def overload(bench: Bench) -> list[Overload]:
    """Send one item a request, first from as many connections as make the peak, then from ten times as many."""
    for encoder in CONNECTIONS:
        bench.encoder(encoder)
    items = {
        TEXT_ENCODER: short_texts(tokenizer(bench, TEXT_ENCODER), TEXT_BODIES),
        IMAGE_ENCODERS[0]: jpegs(IMAGE_BODIES),
    }
    return [
        _overload(bench, encoder, [SIMILA.body(encoder, (item,)) for item in items[encoder]]) for encoder in CONNECTIONS
    ]


def _overload(bench: Bench, encoder: str, bodies: Sequence[bytes]) -> Overload:
    file = Bodies.written(
        bench.scratch / f"overload-{encoder}", bodies, path=SIMILA.path, content_type=SIMILA.content_type
    )
    with bench.simila([encoder], SIMILA_ENGINE__MAX_QUEUE_SECONDS=str(QUEUE_SECONDS)) as server:
        _turn(bench, server, file, bodies, CONNECTIONS[encoder])  # warms up
        rounds = []
        for number in range(1, bench.rounds + 1):
            rounds.append(_turn(bench, server, file, bodies, CONNECTIONS[encoder]))
            peak, overloaded = rounds[-1].peak.answers, rounds[-1].overloaded.answers
            bench.tell(
                f"round {number} of {bench.rounds}: {overloaded.admitted_rate:.1f} of {peak.admitted_rate:.1f}/s"
            )
    admitted_ms = [milliseconds for one in rounds for milliseconds in one.admitted_ms]
    return Overload(
        encoder=encoder,
        connections=FACTOR * CONNECTIONS[encoder],
        queue_seconds=QUEUE_SECONDS,
        peak=median(one.peak.answers.admitted_rate for one in rounds),
        goodput=median(one.overloaded.answers.admitted_rate for one in rounds),
        refusals=median(one.overloaded.answers.refused / one.overloaded.answers.seconds for one in rounds),
        failed=sum(one.peak.answers.failed + one.overloaded.answers.failed for one in rounds),
        admitted_p99_ms=quantiles(admitted_ms, n=100)[-1],
        recovered_after_ms=max(one.recovered_after_ms for one in rounds),
        peak_cpu_ms=median(one.peak.cpu_ms for one in rounds),
        cpu_ms=median(one.overloaded.cpu_ms for one in rounds),
        load_cores=median(one.overloaded.wrk_seconds / one.overloaded.answers.seconds for one in rounds),
    )


def _turn(bench: Bench, server: Server, file: Bodies, bodies: Sequence[bytes], connections: int) -> _Round:
    peak = _run(server, file, connections=connections, seconds=bench.seconds)
    probes = [Probe(server.url, file.path, file.content_type, [(0, body)]) for body in bodies[:PROBES]]
    with ExitStack() as stack:
        for probe in probes:
            stack.enter_context(probe)
        overloaded = _run(server, file, connections=FACTOR * connections - PROBES, seconds=bench.seconds)
        ended_at = time.perf_counter()
        overloaded = replace(overloaded, answers=_with(overloaded.answers, probes))
        while server.post(file.path, file.content_type, bodies[0])[0] != OK:
            pass
        recovered_after_ms = 1000 * (time.perf_counter() - ended_at)
    answers: list[Answer] = [answer for probe in probes for answer in probe.answers]
    admitted_ms = [1000 * answer.seconds for answer in answers if answer.status == OK]
    return _Round(peak, overloaded, admitted_ms, recovered_after_ms)


def _with(answers: Statuses, probes: Sequence[Probe]) -> Statuses:
    """The probes are some of the clients: they have taken their part of what the server can do."""
    statuses = [answer.status for probe in probes for answer in probe.answers]
    admitted, refused = statuses.count(OK), statuses.count(REFUSED)
    return replace(
        answers,
        admitted=answers.admitted + admitted,
        refused=answers.refused + refused,
        failed=answers.failed + len(statuses) - admitted - refused,
    )


def _run(server: Server, file: Bodies, *, connections: int, seconds: float) -> _Run:
    server_before, wrk_before = server.cpu_seconds(), _ended_children_seconds()
    answers = run_wrk_for(server.url, file, connections=connections, seconds=seconds)
    return _Run(answers, server.cpu_seconds() - server_before, _ended_children_seconds() - wrk_before)


def _ended_children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
