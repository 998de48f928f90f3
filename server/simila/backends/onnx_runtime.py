"""ONNX Runtime on the CPU."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from simila.backends import TowerGraph
from simila.domain.errors import ModelError
from simila.domain.vectors import Float32

FATAL_ONLY = 4
# On the CPU its kernel is slower than the Add and LayerNormalization that it replaces: a tenth of MiniLM's time.
SLOW_FUSIONS = ["SkipLayerNormFusion"]

# One arena for all sessions: what one tower has finished with, the next one uses. With an arena each, a process keeps
# the largest batch of every tower for ever. It can be registered once a process, so it is done with the import.
onnxruntime.create_and_register_allocator(
    onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    ),
    None,
)
# The smallest graph there is, y = x: a run of it reaches the arena.
IDENTITY_ONNX = bytes.fromhex(
    "08093a370a100a017812017922084964656e746974791201675a0f0a0178120a0a08080112040a020801"
    "620f0a0179120a0a08080112040a02080142040a001011"
)


def shrink_arena() -> None:
    """Let the arena of all sessions free what no session uses."""
    session = onnxruntime.InferenceSession(IDENTITY_ONNX, session_options(1), providers=["CPUExecutionProvider"])
    shrinking = onnxruntime.RunOptions()
    shrinking.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    session.run(None, {"x": np.zeros(1, dtype=np.float32)}, shrinking)


class OnnxRuntimeBackend:
    """One inference session.

    Raises:
        ModelError: ONNX Runtime cannot load the file.

    """

    def __init__(self, onnx: Path, output_name: str, threads: int) -> None:
        try:
            self._session = onnxruntime.InferenceSession(
                onnx, session_options(threads), providers=["CPUExecutionProvider"], disabled_optimizers=SLOW_FUSIONS
            )
        except Exception as error:  # ONNX Runtime's exceptions share no base but this
            raise ModelError(f"ONNX Runtime cannot load {onnx}: {error}") from error
        self._output_names = [output_name]

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> Float32:
        vectors: Float32 = self._session.run(self._output_names, dict(tensors))[0]
        return vectors


def session_options(threads: int) -> Any:
    """What all sessions have in common."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # they keep one plan for each batch shape ever seen
    # A thread that waits for work would keep a core from the tower's other workers and from decoding.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")
    # Weights beside the arena, not in it: there they would keep what lies around them from being given back.
    options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    options.log_severity_level = FATAL_ONLY
    return options


@dataclass(frozen=True)
class CpuRuntime:
    """`cpu`: there wherever the server is, and the reference for all others."""

    uses_host_cores: bool = True

    def devices(self) -> Sequence[str]:
        return [f"ONNX Runtime {onnxruntime.__version__}"]

    def objection(self, graph: TowerGraph) -> str | None:  # noqa: ARG002
        return None

    def start(self, graph: TowerGraph, device_number: int, threads: int) -> OnnxRuntimeBackend:  # noqa: ARG002
        return OnnxRuntimeBackend(graph.onnx, graph.output_name, threads)
