"""OpenVINO on the CPU: in bf16 where the CPU computes with it, which is where it is faster than ONNX Runtime."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from simila.backends import Backend, TowerGraph
from simila.domain.errors import DeviceUnavailable

WORD = "openvino"


def is_installed() -> bool:
    return find_spec("openvino") is not None


@dataclass(frozen=True)
class OpenVinoRuntime:
    """`openvino`: never the reference, so `auto` takes it only where `simila models tune` has found it faster."""

    uses_host_cores: bool = True

    def devices(self) -> Sequence[str]:
        """OpenVINO's version and what it will compute with.

        Raises:
            DeviceUnavailable: the package is not installed.

        """
        if not is_installed():
            raise DeviceUnavailable("openvino is not installed; run: pip install 'simila[openvino]'")
        return [_backend_module().describe()]

    def objection(self, graph: TowerGraph) -> str | None:
        if graph.fastest_runtime == WORD:
            return None
        return "it was not found faster on this machine by: simila models tune"

    def start(self, graph: TowerGraph, device_number: int, threads: int) -> Backend:  # noqa: ARG002
        backend: Backend = _backend_module().OpenVinoBackend(graph.onnx, graph.output_name, threads)
        return backend


def _backend_module() -> ModuleType:
    """Import what imports OpenVINO, which is an extra."""
    # With this package, which it can do without, OpenVINO tells its makers of every import.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    return import_module("simila.backends.openvino_backend")
