"""ONNX Runtime on NVIDIA GPUs by CUDA."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from simila.backends import TowerGraph
from simila.backends.bound_session import BoundSession
from simila.backends.capture_gate import GATE
from simila.backends.cuda_driver import find_gpus
from simila.backends.onnx_runtime import IDENTITY_ONNX
from simila.backends.shape_buckets import ShapeBuckets
from simila.domain.errors import DeviceUnavailable, ModelError

logger = logging.getLogger("simila.backends")

PROVIDER = "CUDAExecutionProvider"
# Of larger batches the GPU has enough to do while it is told of the next kernel: a graph would gain nothing.
MOST_GRAPH_ROWS = 32
FATAL_ONLY = 4
_DTYPES = {
    "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8,
    "tensor(uint16)": np.uint16,
    "tensor(float)": np.float32,
}


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
        """With CUDA graphs where every node runs on the GPU and can be captured, else without.

        Raises:
            ModelError: ONNX Runtime cannot load the file, or not run it.

        """
        for graphs in (True, False):
            try:
                return _started(graph, device_number, graphs=graphs)
            except Exception as error:  # whatever a capture runs into
                if not graphs:
                    raise
                logger.warning("%s runs without CUDA graphs: %s", graph.files.folder.name, error)
        raise AssertionError


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
    options.enable_mem_pattern = False  # a plan for every shape ever seen, whose memory a capture may not allocate
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = FATAL_ONLY
    provider, provider_options = providers[0]
    where = f"{provider}, device {provider_options['device_id']}"
    onnxruntime.preload_dlls()  # CUDA's and cuDNN's, where they come from wheels
    try:
        with GATE.run():
            session = onnxruntime.InferenceSession(onnx, options, providers=providers)
    except Exception as error:  # ONNX Runtime's exceptions share no base but this
        what = onnx if isinstance(onnx, Path) else "a graph"
        raise ModelError(f"ONNX Runtime cannot load {what} by {where}: {error}") from error
    if provider not in session.get_providers():  # it goes on with the next provider and says so in its log alone
        raise ModelError(f"ONNX Runtime cannot use {where}: a library that it needs is missing or of another version")
    return session


def ones(session: Any, shapes: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """A batch of ones, as the graph's inputs want it."""
    return {one.name: np.ones(shapes[one.name], _DTYPES[one.type]) for one in session.get_inputs()}


def _started(graph: TowerGraph, device_number: int, *, graphs: bool) -> BoundSession:
    """A session that has run its smallest batch: what cannot be captured is known now, not in a request."""
    options = cuda_options(device_number, graphs=graphs)
    session = start_session(graph.onnx, [(PROVIDER, options), "CPUExecutionProvider"])
    buckets = ShapeBuckets.of_tower(graph.manifest, graph.modality, MOST_GRAPH_ROWS)
    dimension = graph.manifest.dimension
    bound = BoundSession(session, graph.output_name, dimension, buckets, "cuda", device_number, graphs=graphs)
    smallest = {one.name: [size if isinstance(size, int) else 1 for size in one.shape] for one in session.get_inputs()}
    bound.run(ones(session, smallest))
    return bound
