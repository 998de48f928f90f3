"""Servers in processes of their own: started, watched until they are ready, measured, ended."""

import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

READY_TIMEOUT_SECONDS = 180
POLL_SECONDS = 0.002
KIB = 1024


class ServerFailed(Exception):
    """A server ended, or did not become ready."""


@dataclass(frozen=True)
class Server:
    """A server that is ready. `seconds_to_ready` counts from the start of its process."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    started_at: float
    seconds_to_ready: float

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, path: str, content_type: str, body: bytes) -> tuple[int, bytes]:
        """Send one request and return status and body."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=READY_TIMEOUT_SECONDS)
        connection.request("POST", path, body, {"content-type": content_type})
        response = connection.getresponse()
        answer = response.status, response.read()
        connection.close()
        return answer

    def resident_bytes(self) -> int:
        """Memory of the process and its children that lies in RAM (`VmRSS`)."""
        return sum(_resident_bytes(process, "VmRSS") for process in (self.process.pid, *_children(self.process.pid)))

    def cpu_seconds(self) -> float:
        """Processor time of the process's threads; of those that have ended, nothing."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def anonymous_bytes(self) -> int:
        """Memory of the process that is no file's, mapped or cached (`RssAnon`)."""
        return _resident_bytes(self.process.pid, "RssAnon")


@contextmanager
def running(
    name: str,
    command: Sequence[str],
    *,
    port: int,
    log: Path,
    is_ready: Callable[[], bool],
    environment: Mapping[str, str],
    folder: Path | None = None,
) -> Iterator[Server]:
    """Start a server, lend it once it is ready, and kill it.

    Raises:
        ServerFailed: it ended, or was not ready within `READY_TIMEOUT_SECONDS`; the message has the end of its log.

    """
    with log.open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=folder)
    try:
        while not is_ready():
            if process.poll() is not None or time.perf_counter() - began > READY_TIMEOUT_SECONDS:
                raise ServerFailed(f"{name} is not ready: {_end_of(log)}")
            time.sleep(POLL_SECONDS)
        yield Server(name, port, process, began, time.perf_counter() - began)
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def says(log: Path, words: str) -> Callable[[], bool]:
    """Ready once these words are in the log."""
    return lambda: log.is_file() and words.encode() in log.read_bytes()


def answers(port: int, path: str) -> Callable[[], bool]:
    """Ready once a GET is answered with 200."""

    def is_ready() -> bool:
        connection = HTTPConnection("127.0.0.1", port, timeout=1)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    return is_ready


def _resident_bytes(process: int, kind: str) -> int:
    found = re.search(rf"{kind}:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) * KIB if found else 0


def _children(process: int) -> list[int]:
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]
