"""While a CUDA graph is captured, nothing else in the process may use CUDA.

ONNX Runtime captures in CUDA's global mode (its `cuda_graph.cc` says that it is for one thread alone): when another
thread allocates or waits meanwhile, for whatever session or GPU, that call fails and the capture is spoilt.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class CaptureGate:
    """Lets runs in side by side, and a capture alone; runs that come while a capture waits stand behind it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._runs = 0
        self._is_capturing = False

    @contextmanager
    def run(self) -> Iterator[None]:
        """Whatever uses CUDA and captures nothing: a batch, a session's beginning or end."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_capturing)
            self._runs += 1
        try:
            yield
        finally:
            with self._changed:
                self._runs -= 1
                self._changed.notify_all()

    @contextmanager
    def capture(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._is_capturing)
            self._is_capturing = True
            self._changed.wait_for(lambda: not self._runs)
        try:
            yield
        finally:
            with self._changed:
                self._is_capturing = False
                self._changed.notify_all()


GATE = CaptureGate()
"""The process's own."""
