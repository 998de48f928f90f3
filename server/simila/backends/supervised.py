"""A backend that is built anew when it dies."""

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simila.backends import Backend, BackendDied, ClosableBackend, nobody_waits
from simila.domain.errors import DeadlineExceeded, InferenceServerDown, ModelError, NotReady, Overloaded, SimilaError
from simila.domain.vectors import Float32

logger = logging.getLogger("simila.backends")

# Far above the noise of float16 between two runs, far below what a broken device returns.
CANARY_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Backoff:
    """Waits before one restart after another: doubling, and up to a half shorter by chance, so that replicas spread."""

    first_seconds: float = 0.1
    longest_seconds: float = 30.0

    def delay_seconds(self, earlier_tries: int) -> float:
        doublings = min(earlier_tries, 32)  # past this a float gains nothing, and much later it overflows
        return min(self.longest_seconds, self.first_seconds * 2.0**doublings) * random.uniform(0.5, 1.0)  # noqa: S311


@dataclass(frozen=True)
class _Outage:
    reason: str
    next_try_at: float
    error: type[NotReady] = NotReady


class SupervisedBackend:
    """Runs the backend that `build` makes, and makes another when it is dead.

    When a run raises, `canary` is run. If that gives the vectors that it gave at first, the error belongs to the batch
    and is raised as it is. Otherwise, or on `BackendDied`, the backend is dead: until a new one passes the canary,
    every run raises `NotReady` at once. As long as nothing fails no lock is taken. Safe to call from any thread.

    `expected` is what the canary gives on another device with the same tower; where it is known, a backend whose server
    is down at first is one that has died.

    Raises:
        ModelError: the canary gives other vectors than `expected`.
        Exception: whatever else `build` and its first run raise.

    """

    def __init__(
        self,
        name: str,
        build: Callable[[], Backend],
        canary: Mapping[str, NDArray[Any]],
        *,
        expected: Float32 | None = None,
        backoff: Backoff = Backoff(),
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        self._name = name
        self._build = build
        self._canary = canary
        self._backoff = backoff
        self._clock = clock
        self._wait = wait
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._restarting: threading.Thread | None = None
        self._outage = _Outage("it is starting", clock())
        self._tries = 0  # since it last ran for longer than the longest wait: one that dies again at once waits longer
        self._restored_at = clock()
        self._backend: Backend | None = None
        try:
            backend = build()
            vectors = backend.run(canary)
        except InferenceServerDown as error:
            if expected is None:
                raise
            self.expected = expected
            self._begin_restarts(error.message, error)
            return
        self.expected = vectors if expected is None else expected
        if expected is not None and (reason := self._difference(vectors)):
            raise ModelError(f"{name} cannot run beside the others: {reason}")
        self._backend = backend

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> Float32:
        """Run one batch.

        Raises:
            NotReady: the backend is dead, or died of this batch; `InferenceServerDown` where that is why.
            Exception: what the backend raised, if it lives on.

        """
        backend = self._backend
        if backend is None:
            raise self._not_ready()
        try:
            return backend.run(tensors)
        except (Overloaded, DeadlineExceeded):
            raise  # of the moment: they say nothing about whether it lives
        except Exception as error:
            if self._lives_after(backend, error):
                raise
            raise self._not_ready() from error

    def close(self) -> None:
        """Let go of the backend, so that what it takes can be freed; give up on restarting, and end that thread."""
        self._closing.set()
        with self._lock:
            restarting = self._restarting
        if restarting:
            restarting.join()
        self._outage = _Outage("it is closed", self._clock())
        backend, self._backend = self._backend, None
        _close(backend)

    def _lives_after(self, backend: Backend, error: Exception) -> bool:
        """Find out whether the backend survived an error; if not, have it restarted."""
        with self._lock:  # threads that fail together ask once each, and declare it dead once
            if backend is not self._backend:
                return False
            reason = _described(error)
            if not isinstance(error, BackendDied | InferenceServerDown):
                fault = self._fault(backend)
                if fault is None:
                    return True
                reason = fault
            self._begin_restarts(reason, error)
        return False

    def _begin_restarts(self, reason: str, error: Exception) -> None:
        logger.error("%s died and will be restarted: %s", self._name, reason, exc_info=error)
        dead, self._backend = self._backend, None
        if self._clock() - self._restored_at > self._backoff.longest_seconds:
            self._tries = 0
        delay = self._postpone(reason, error)
        self._restarting = threading.Thread(
            target=self._restart, args=(dead, delay), name=f"restart-{self._name}", daemon=True
        )
        self._restarting.start()

    def _restart(self, dead: Backend | None, delay_seconds: float) -> None:
        nobody_waits.set(self._closing.is_set)
        _close(dead)  # here, where nobody waits for it
        del dead
        while not self._wait(self._closing, delay_seconds):
            cause: Exception | None = None
            try:
                backend = self._build()
                fault = self._fault(backend)
            except Exception as error:  # noqa: BLE001  whatever keeps it down is tried again
                fault, cause = _described(error), error
            with self._lock:
                if fault is None:
                    self._restored_at = self._clock()
                    self._backend = backend
                    logger.warning("%s is restarted", self._name)
                    return
                delay_seconds = self._postpone(fault, cause)
            logger.warning("%s could not be restarted: %s", self._name, fault)

    def _postpone(self, reason: str, cause: Exception | None) -> float:
        delay_seconds = self._backoff.delay_seconds(self._tries)
        self._tries += 1
        error = InferenceServerDown if isinstance(cause, InferenceServerDown) else NotReady
        self._outage = _Outage(reason, self._clock() + delay_seconds, error)
        return delay_seconds

    def _fault(self, backend: Backend) -> str | None:
        """What the canary finds wrong."""
        try:
            vectors = backend.run(self._canary)
        except Exception as error:  # noqa: BLE001  a backend may raise anything
            return _described(error)
        return self._difference(vectors)

    def _difference(self, vectors: Float32) -> str | None:
        if vectors.shape == self.expected.shape and np.allclose(vectors, self.expected, atol=CANARY_TOLERANCE):
            return None
        return "it gives other vectors than were expected"

    def _not_ready(self) -> NotReady:
        outage = self._outage
        seconds = outage.next_try_at - self._clock()
        when = f"in {seconds:.1f} s" if seconds > 0 else "now"
        return outage.error(f"{self._name} is down and is restarted {when}: {outage.reason}")


def _close(backend: Backend | None) -> None:
    if isinstance(backend, ClosableBackend):
        try:
            backend.close()
        except Exception:  # its successor is started all the same
            logger.exception("a backend could not be closed")


def _described(error: Exception) -> str:
    """For people: errors of the domain speak for themselves."""
    return error.message if isinstance(error, SimilaError) else f"{type(error).__name__}: {error}"
