"""Several devices behind one backend: each batch goes to the one with the least work."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from numpy.typing import NDArray

from simila.backends import Backend
from simila.domain.errors import NotReady
from simila.domain.vectors import Float32


class LeastLoadedBackend:
    """Runs each batch on the replica with the fewest values in flight; of equals, on the one that has waited longest.

    A replica that raises `NotReady` is down: the batch goes on to the next.
    """

    def __init__(self, replicas: Sequence[Backend]) -> None:
        self._replicas = replicas
        self._lock = threading.Lock()
        self._values_in_flight = [0] * len(replicas)
        self._used_at = [0] * len(replicas)
        self._batches = 0

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> Float32:
        """Run one batch.

        Raises:
            NotReady: all replicas are down.
            Exception: what the replica raised that ran the batch.

        """
        values = sum(tensor.size for tensor in tensors.values())
        down: dict[int, NotReady] = {}
        while len(down) < len(self._replicas):
            with self._taken(values, down) as number:
                try:
                    return self._replicas[number].run(tensors)
                except NotReady as error:
                    down[number] = error
        raise next(iter(down.values()))

    @contextmanager
    def _taken(self, values: int, down: Mapping[int, NotReady]) -> Iterator[int]:
        with self._lock:
            able = (number for number in range(len(self._replicas)) if number not in down)
            number = min(able, key=lambda one: (self._values_in_flight[one], self._used_at[one]))
            self._batches += 1
            self._used_at[number] = self._batches
            self._values_in_flight[number] += values
        try:
            yield number
        finally:
            with self._lock:
                self._values_in_flight[number] -= values
