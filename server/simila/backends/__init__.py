"""Run one batch on one device: one file a runtime, behind one Protocol."""

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from simila.domain.vectors import Float32


class Backend(Protocol):
    """One tower on one device. `run` may be called from one thread at a time."""

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> Float32:
        """Input tensors by name, batch first, to `float32 [n, d], unit length`."""
        ...
