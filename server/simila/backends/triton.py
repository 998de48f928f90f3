"""Triton Inference Server runs the towers; everything else stays here."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from simila.backends import Backend, TowerGraph
from simila.domain.errors import DeviceUnavailable


@dataclass(frozen=True)
class TritonOptions:
    """Where Triton is and how it is spoken to; every address serves the same models."""

    addresses: tuple[str, ...] = ()
    tls: bool = False
    shared_memory: bool = True
    timeout_seconds: float = 30.0


@dataclass(frozen=True)
class TritonRuntime:
    """`triton`: every address is a device, so batches go to the least loaded of the servers that are up."""

    options: TritonOptions = TritonOptions()
    uses_host_cores: bool = False

    def devices(self) -> Sequence[str]:
        """The addresses; a server that is not there yet is waited for.

        Raises:
            DeviceUnavailable: no address is set, or the client's package is not installed.

        """
        if not self.options.addresses:
            raise DeviceUnavailable("no address of a Triton server is set (SIMILA_TRITON__ADDRESSES)")
        if find_spec("tritonclient") is None:
            raise DeviceUnavailable("tritonclient is not installed; run: pip install 'simila[grpc]'")
        return self.options.addresses

    def objection(self, graph: TowerGraph) -> str | None:  # noqa: ARG002
        return None

    def start(self, graph: TowerGraph, device_number: int, threads: int) -> Backend:  # noqa: ARG002
        from simila.backends.triton_backend import TritonBackend  # noqa: PLC0415  its package is an extra

        address = self.options.addresses[device_number]
        return TritonBackend(address, graph.files.folder.name, graph.output_name, self.options)
