"""Who does how much in the same time: contenders in turn, several rounds, medians."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol

from speed.limit import LimitProcess
from speed.loads import Load
from speed.probe import Probe
from speed.references import Check, WrongAnswer
from speed.servers import Server
from speed.wrk import Bodies, WrkFailed, run_wrk

REQUESTS_A_CONNECTION = 2
"""At least so many in a pass, and as many to warm up: fewer would measure the beginning and the end."""


@dataclass(frozen=True)
class Pass:
    """One contender's part in one round. The limit has no latency and is not checked."""

    items: int
    seconds: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    cosines: tuple[float, ...] = ()
    """The lowest of each answer that was checked."""
    cpu_seconds: float | None = None
    """Of the process that did the work: on a shared machine it tells more than the time that went by."""

    @property
    def rate(self) -> float:
        return self.items / self.seconds

    @property
    def cpu_ms(self) -> float | None:
        """Processor time for one item."""
        return None if self.cpu_seconds is None else 1000 * self.cpu_seconds / self.items


class Contender(Protocol):
    name: str
    load: Load

    def run(self, first: int, requests: int) -> Pass:
        """Do the work of so many requests of the load, beginning with number `first`."""
        ...


@dataclass(frozen=True)
class Standing:
    """A contender's medians over the rounds. `rates` are items a second, one a round; `cpu_ms` are for one item."""

    name: str
    rate: float
    rates: tuple[float, ...]
    p50_ms: float | None
    p99_ms: float | None
    checked: int
    lowest_cosine: float | None
    invalid: str | None = None
    cpu_ms: float | None = None


@dataclass
class _Score:
    passes: list[Pass] = field(default_factory=list)
    invalid: str | None = None


class Limit:
    """Raw ONNX Runtime on the items of the same requests."""

    name = "limit"

    def __init__(self, load: Load, process: LimitProcess) -> None:
        self.load = load
        self._process = process

    def run(self, first: int, requests: int) -> Pass:
        items = [item for number in range(first, first + requests) for item in self.load.group(number)]
        seconds, cpu_seconds = self._process.spent(items)
        return Pass(len(items), seconds, cpu_seconds=cpu_seconds)


class Served:
    """A server under load, one connection of which is a probe."""

    def __init__(
        self, name: str, load: Load, server: Server, bodies: Bodies, probed: Sequence[tuple[int, bytes]], check: Check
    ) -> None:
        self.name = name
        self.load = load
        self._server = server
        self._bodies = bodies
        self._probed = probed
        self._check = check

    def run(self, first: int, requests: int) -> Pass:
        """Send the requests.

        Raises:
            WrkFailed, WrongAnswer, OSError: the figures would be worth nothing.

        """
        with_probe = Probe(self._server.url, self._bodies.path, self._bodies.content_type, self._probed)
        cpu_seconds = self._server.cpu_seconds()
        figures = run_wrk(
            self._server.url,
            self._bodies,
            connections=self.load.connections - 1,
            first=first,
            requests=requests,
            beside=with_probe,
        )
        answered = requests + len(with_probe.answers)
        cosines = tuple(self._check(answer) for answer in with_probe.answers)
        return Pass(
            answered * self.load.items_a_request,
            figures.seconds,
            figures.p50_ms,
            figures.p99_ms,
            cosines,
            self._server.cpu_seconds() - cpu_seconds,
        )


def contest(
    contenders: Sequence[Contender], *, rounds: int, seconds: float, tell: Callable[[str], None]
) -> list[Standing]:
    """Let each contender work for about `seconds` in every round, on the same requests, in changing order."""
    scores = {contender.name: _Score() for contender in contenders}
    rates = {contender.name: 0.0 for contender in contenders}
    first = 0
    for turn in range(rounds + 1):  # the first warms up and shows how many requests are right
        sizes = []
        for contender in _rotated(contenders, turn):
            score = scores[contender.name]
            if score.invalid:
                continue
            sizes.append(_requests(contender.load, seconds * rates[contender.name]))
            try:
                done = contender.run(first, sizes[-1])
            except (WrongAnswer, WrkFailed, OSError) as error:
                score.invalid = str(error)
                continue
            rates[contender.name] = done.rate
            if turn:
                score.passes.append(done)
                tell(f"round {turn} of {rounds}: {contender.name} {done.rate:.1f}/s")
        first += max(sizes, default=0)
    return [_standing(name, score) for name, score in scores.items()]


def ratios(standings: Sequence[Standing]) -> dict[str, float]:
    """The second's median rate in units of everybody else's, as `second/other`; who is invalid is left out."""
    _, ours, *_ = standings
    if ours.invalid:
        return {}
    others = [standing for standing in standings if standing is not ours and not standing.invalid]
    return {f"{ours.name}/{other.name}": ours.rate / other.rate for other in others}


def _requests(load: Load, items: float) -> int:
    return max(round(items / load.items_a_request), REQUESTS_A_CONNECTION * load.connections)


def _rotated(contenders: Sequence[Contender], turn: int) -> list[Contender]:
    start = turn % len(contenders)
    return [*contenders[start:], *contenders[:start]]


def _standing(name: str, score: _Score) -> Standing:
    passes = score.passes
    rates = tuple(done.rate for done in passes)
    cosines = [cosine for done in passes for cosine in done.cosines]
    return Standing(
        name=name,
        rate=median(rates) if rates else 0.0,
        rates=rates,
        p50_ms=_median_of_known([done.p50_ms for done in passes]),
        p99_ms=_median_of_known([done.p99_ms for done in passes]),
        checked=len(cosines),
        lowest_cosine=min(cosines, default=None),
        invalid=score.invalid,
        cpu_ms=_median_of_known([done.cpu_ms for done in passes]),
    )


def _median_of_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
