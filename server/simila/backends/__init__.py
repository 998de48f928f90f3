"""Run one batch on one device: one file a runtime, behind two Protocols."""

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from simila.domain.manifest import Manifest, Modality
from simila.domain.model_repository import TowerFiles
from simila.domain.vectors import Float32

nobody_waits: ContextVar[Callable[[], bool]] = ContextVar("nobody_waits", default=lambda: False)
"""Asked during a run: whether all who wanted the batch have left. A backend that can stop a run does so then."""


class BackendDied(Exception):
    """A backend raises this where it knows that no later run can succeed, so that nobody need try."""


class Backend(Protocol):
    """One tower on one device. `run` may be called from several threads at once."""

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> Float32:
        """Input tensors by name, batch first, to `float32 [n, d], unit length`."""
        ...


@runtime_checkable
class ClosableBackend(Backend, Protocol):
    """A backend with something of another process, which takes time to give back."""

    def close(self) -> None:
        """Give it back; may be called twice, and from any thread."""
        ...


@dataclass(frozen=True)
class TowerGraph:
    """An exported tower, as a runtime starts it."""

    manifest: Manifest
    modality: Modality
    files: TowerFiles
    onnx: Path
    fastest_runtime: str | None = None
    """The word of the runtime that `simila models tune` has found fastest on this machine, if it has been run."""

    @property
    def output_name(self) -> str:
        tower = self.manifest.image if self.modality is Modality.IMAGE else self.manifest.text
        assert tower
        return tower.output_name


class Runtime(Protocol):
    """A way to run towers, known by the word that `SIMILA_DEVICE` begins with, see `registry`."""

    @property
    def uses_host_cores(self) -> bool:
        """Whether a run keeps this machine's cores busy, so that threads and batches are those that tuning found."""
        ...

    def devices(self) -> Sequence[str]:
        """What it can run on from here, one label a device, such as "NVIDIA H200"; never empty.

        Raises:
            DeviceUnavailable: there is nothing; the message says what is missing.

        """
        ...

    def objection(self, graph: TowerGraph) -> str | None:
        """Why `auto` should pass this runtime over for a tower; None if it should not."""
        ...

    def start(self, graph: TowerGraph, device_number: int, threads: int) -> Backend:
        """Make a backend on one of `devices`, with so many threads a run where `uses_host_cores`.

        Raises:
            ModelError: the tower cannot be loaded.

        """
        ...
