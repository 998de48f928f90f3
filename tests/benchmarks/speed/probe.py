"""One connection of the load whose answers are kept: so that what is fast is also right."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Self
from urllib.parse import urlsplit

OK = 200
TIMEOUT_SECONDS = 300


@dataclass(frozen=True)
class Answer:
    """What came back for the body with this number."""

    number: int
    status: int
    body: bytes
    seconds: float


class Probe:
    """Sends some of the bodies one after the other while the context lasts; `answers` are there afterwards."""

    def __init__(self, url: str, path: str, content_type: str, bodies: Sequence[tuple[int, bytes]]) -> None:
        self._address = urlsplit(url)
        self._path = path
        self._headers = {"content-type": content_type}
        self._bodies = bodies
        self._finished = threading.Event()
        self.answers: list[Answer] = []
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._send, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for the answer that is under way.

        Raises:
            OSError: the connection failed.

        """
        self._finished.set()
        self._thread.join()
        if self._error:
            raise self._error

    def _send(self) -> None:
        assert self._address.hostname
        connection = HTTPConnection(self._address.hostname, self._address.port, timeout=TIMEOUT_SECONDS)
        try:
            while not self._finished.is_set():
                number, body = self._bodies[len(self.answers) % len(self._bodies)]
                began = time.perf_counter()
                connection.request("POST", self._path, body, self._headers)
                response = connection.getresponse()
                answer = response.read()
                self.answers.append(Answer(number, response.status, answer, time.perf_counter() - began))
        except OSError as error:
            self._error = error
        finally:
            connection.close()
