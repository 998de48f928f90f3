"""ONNX Runtime on NVIDIA GPUs by CUDA."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime

from simila.backends import TowerGraph
from simila.backends.bound_session import BoundSession
from simila.backends.cuda_driver import find_gpus
from simila.backends.onnx_runtime import IDENTITY_ONNX
from simila.backends.shape_buckets import ShapeBuckets
from simila.domain.errors import DeviceUnavailable, ModelError

logger = logging.getLogger("simila.backends")

PROVIDER = "CUDAExecutionProvider"
# Of larger batches the GPU has enough to do while it is told of the next kernel: a graph would gain nothing.
MOST_GRAPH_ROWS = 32
FATAL_ONLY = 4


@dataclass(frozen=True)
class CudaRuntime:
    """`cuda`: one session a GPU, whose small batches are CUDA graphs."""

    uses_host_cores: bool = False

    def devices(self) -> Sequence[str]:
        names = [gpu.name for gpu in find_gpus()]
        require_provider(PROVIDER)
        try:
            start_session(IDENTITY_ONNX, [(PROVIDER, {"device_id": "0"})])
        except ModelError as error:  # that cuDNN is missing, say, is known now, and not when encoders fail
            raise DeviceUnavailable(error.message) from error
        return names

    def objection(self, graph: TowerGraph) -> str | None:  # noqa: ARG002
        return None

    def start(self, graph: TowerGraph, device_number: int, threads: int) -> BoundSession:  # noqa: ARG002
        return BoundSession(
            _session(graph, device_number),
            graph.output_name,
            graph.manifest.dimension,
            ShapeBuckets.of_tower(graph.manifest, graph.modality, MOST_GRAPH_ROWS),
            "cuda",
            device_number,
        )


def require_provider(provider: str) -> None:
    """Check that the installed ONNX Runtime can use a kind of device.

    Raises:
        DeviceUnavailable: it was built without.

    """
    if provider not in onnxruntime.get_available_providers():
        raise DeviceUnavailable(
            f"ONNX Runtime {onnxruntime.__version__} was built without {provider};"
            " install simila[gpu] in the place of simila[cpu]"
        )


def cuda_options(device_number: int, *, graphs: bool) -> dict[str, str]:
    """The provider's options for one GPU."""
    return {
        "device_id": str(device_number),
        "arena_extend_strategy": "kSameAsRequested",  # doubling would take most of a GPU for one large batch
        "cudnn_conv_algo_search": "HEURISTIC",  # the default tries all, for each new shape, within a request
        "enable_cuda_graph": "1" if graphs else "0",
    }


def start_session(onnx: Path | bytes, providers: Sequence[Any]) -> Any:
    """A session that computes on a GPU, by the first of `providers`: the host only hands it work.

    Raises:
        ModelError: ONNX Runtime cannot load the graph there.

    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = FATAL_ONLY
    provider, provider_options = providers[0]
    where = f"{provider}, device {provider_options['device_id']}"
    onnxruntime.preload_dlls()  # CUDA's and cuDNN's, where they come from wheels
    try:
        session = onnxruntime.InferenceSession(onnx, options, providers=providers)
    except Exception as error:  # ONNX Runtime's exceptions share no base but this
        what = onnx if isinstance(onnx, Path) else "a graph"
        raise ModelError(f"ONNX Runtime cannot load {what} by {where}: {error}") from error
    if provider not in session.get_providers():  # it goes on with the next provider and says so in its log alone
        raise ModelError(f"ONNX Runtime cannot use {where}: a library that it needs is missing or of another version")
    return session


def _session(graph: TowerGraph, device_number: int) -> Any:
    """With CUDA graphs where every node runs on the GPU, else without.

    Raises:
        ModelError: ONNX Runtime cannot load the file.

    """
    for graphs in (True, False):
        providers = [(PROVIDER, cuda_options(device_number, graphs=graphs)), "CPUExecutionProvider"]
        try:
            return start_session(graph.onnx, providers)
        except ModelError as error:
            if not graphs:
                raise
            logger.warning("%s runs without CUDA graphs: %s", graph.files.folder.name, error)
    raise AssertionError
