"""wrk (https://github.com/wg/wrk), a load generator in C: a Python client would be what limits."""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

SCRIPT = Path(__file__).with_name("cycle.lua")
STATUSES_SCRIPT = Path(__file__).with_name("statuses.lua")
STALLED_SECONDS = 300
_STARTED, _FINISHED, _REFUSED = "started", "finished", "refused"


class WrkMissing(Exception):
    """There is no wrk to make load with."""


class WrkFailed(Exception):
    """wrk did not get all its answers."""


@dataclass(frozen=True)
class WrkFigures:
    """What one run of wrk found. `failed` counts statuses other than 2xx and 3xx.

    A connection that breaks is no failure by itself: servers close those on which nothing has been sent for a while. If
    it takes a request with it, that one is missed at the end.
    """

    seconds: float
    p50_ms: float
    p99_ms: float
    failed: int


@dataclass(frozen=True)
class Statuses:
    """How many requests were answered with 200, with 429 and a `Retry-After`, or otherwise or not at all."""

    seconds: float
    admitted: int
    refused: int
    failed: int

    @property
    def admitted_rate(self) -> float:
        return self.admitted / self.seconds


@dataclass(frozen=True)
class Bodies:
    """Request bodies in a file, each after its length in bytes, and where they are sent."""

    file: Path
    path: str
    content_type: str

    @classmethod
    def written(cls, file: Path, bodies: Sequence[bytes], *, path: str, content_type: str) -> "Bodies":
        with file.open("wb") as output:
            for body in bodies:
                output.write(b"%d\n%s" % (len(body), body))
        return cls(file, path, content_type)


def check_wrk() -> None:
    """Look for wrk.

    Raises:
        WrkMissing: it is not installed.

    """
    if shutil.which("wrk") is None:
        raise WrkMissing("the load comes from wrk, which is not installed; on Debian: apt-get install wrk")


def run_wrk(
    url: str, bodies: Bodies, *, connections: int, first: int, requests: int, beside: AbstractContextManager[object]
) -> WrkFigures:
    """Send `requests` bodies, beginning with number `first` and starting over at the end; wait for all answers.

    `beside` is entered with the first request and left with the last answer; leaving it counts as time.

    Raises:
        WrkFailed: an answer was an error, or one is missing after `STALLED_SECONDS`.

    """
    script = ["--script", str(SCRIPT), f"{url}{bodies.path}", "--", str(bodies.file), bodies.content_type]
    options = ["--threads", "1", "--connections", str(connections), "--timeout", f"{STALLED_SECONDS}s"]
    command = ["wrk", *options, "--duration", "24h", *script, str(first), str(requests)]
    with _running(command) as process:
        assert process.stdout
        lines = map(str.strip, process.stdout)
        _up_to(_STARTED, lines)
        began = time.perf_counter()
        with beside:
            refused = [line for line in _up_to(_FINISHED, lines) if line.startswith(_REFUSED)]
        seconds = time.perf_counter() - began
        process.send_signal(signal.SIGINT)
        found = figures(seconds, lines)
    if found.failed:
        raise WrkFailed(f"{found.failed} of {requests} requests failed; {' '.join(refused)}")
    return found


def run_wrk_for(url: str, bodies: Bodies, *, connections: int, seconds: float) -> Statuses:
    """Send the bodies in turn for a time, and on each connection the next as soon as there is an answer.

    Raises:
        WrkFailed: wrk did not end well.

    """
    options = ["--threads", "1", "--connections", str(connections), "--duration", f"{seconds:.0f}s"]
    script = ["--script", str(STATUSES_SCRIPT), f"{url}{bodies.path}", "--", str(bodies.file), bodies.content_type]
    run = subprocess.run(["wrk", *options, *script], capture_output=True, text=True, check=False)
    if run.returncode:
        raise WrkFailed(run.stderr.strip())
    return Statuses(**json.loads(run.stdout.splitlines()[-1]))


def figures(seconds: float, lines: Iterator[str]) -> WrkFigures:
    """Read what `done` in the script printed, after wrk's own summary."""
    last = [line for line in lines if line][-1]
    return WrkFigures(seconds, **json.loads(last))


@contextmanager
def _running(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        watchdog = Timer(STALLED_SECONDS, process.kill)
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            process.kill()


def _up_to(word: str, lines: Iterator[str]) -> list[str]:
    """Read until a line is this word, and return the lines before it."""
    before = []
    for line in lines:
        if line == word:
            return before
        before.append(line)
    raise WrkFailed("wrk ended before all its requests were answered: the server is gone, or stalled")
