"""torch on NVIDIA GPUs: the program that the ONNX graph was exported from, as the reference there."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from simila.backends import Backend, TowerGraph
from simila.backends.cuda_driver import find_gpus
from simila.domain.errors import DeviceUnavailable, ModelError


@dataclass(frozen=True)
class TorchRuntime:
    """`torch`: compiled, in CUDA graphs; for comparisons, so `auto` never takes it."""

    uses_host_cores: bool = False

    def devices(self) -> Sequence[str]:
        names = [gpu.name for gpu in find_gpus()]
        if not find_spec("torch") or not _backend_module().has_cuda():
            raise DeviceUnavailable("torch is not installed, or was built without CUDA")
        return names

    def objection(self, graph: TowerGraph) -> str | None:  # noqa: ARG002
        return "it is there for comparisons"

    def start(self, graph: TowerGraph, device_number: int, threads: int) -> Backend:  # noqa: ARG002
        name = graph.files.folder.name
        if not graph.files.torch_program.is_file():
            raise ModelError(f"{name} has no torch program; run: simila models build --device torch")
        backend: Backend = _backend_module().TorchBackend(graph, f"cuda:{device_number}", compiled=True)
        return backend


def _backend_module() -> ModuleType:
    """Import what imports torch, which is an extra and takes seconds."""
    return import_module("simila.backends.torch_backend")
