"""Run one batch on one device: one file a runtime, behind one Protocol."""

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from simila.domain.vectors import Float32


class BackendDied(Exception):
    """A backend raises this where it knows that no later run can succeed, so that nobody need try."""


class Backend(Protocol):
    """One tower on one device. `run` may be called from several threads at once."""

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> Float32:
        """Input tensors by name, batch first, to `float32 [n, d], unit length`."""
        ...
