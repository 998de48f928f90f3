"""ONNX Runtime on NVIDIA GPUs by TensorRT, where `simila models build` has built the engines."""

import ctypes
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from simila.backends import TowerGraph
from simila.backends.capture_gate import GATE
from simila.backends.cuda import PROVIDER as CUDA_PROVIDER
from simila.backends.cuda import CudaRuntime, cuda_options, ones, require_provider, start_session
from simila.backends.cuda_driver import Gpu, find_gpus
from simila.backends.shape_buckets import Tensors
from simila.backends.tensorrt_engines import (
    EngineFolder,
    EngineKey,
    Profile,
    profiles_of,
    tensorrt_options,
    written_profiles,
)
from simila.domain.errors import DeviceUnavailable, ModelError
from simila.domain.manifest import Modality
from simila.domain.precision import Precision
from simila.domain.vectors import Float32

PROVIDER = "TensorrtExecutionProvider"
LIBRARY = "libnvinfer.so.10"
INSTALL = "pip install 'tensorrt-cu13<11'"  # what ONNX Runtime is linked with; pip alone would take 11


class TensorRtBackend:
    """One session a profile, because ONNX Runtime runs an engine with its first profile only."""

    def __init__(self, sessions: Sequence[tuple[Profile, Any]], output_name: str) -> None:
        self._sessions = sessions
        self._output_names = [output_name]

    def run(self, tensors: Tensors) -> Float32:
        """Run a batch by the first profile that takes it, in parts where it has more rows than that.

        Raises:
            ModelError: none does; to build an engine for it would take minutes.

        """
        shapes = {name: tensor.shape for name, tensor in tensors.items()}
        for profile, session in self._sessions:
            if profile.takes(shapes):
                starts = range(0, len(next(iter(tensors.values()))), profile.most_rows)
                parts = [slice(start, start + profile.most_rows) for start in starts]
                return np.concatenate([self._run_part(session, tensors, part) for part in parts])
        raise ModelError(f"no TensorRT engine takes a batch of {shapes}")

    def _run_part(self, session: Any, tensors: Tensors, rows: slice) -> Float32:
        with GATE.run():  # towers without engines are CUDA's, which may capture
            found = session.run(self._output_names, {name: tensor[rows] for name, tensor in tensors.items()})
        vectors: Float32 = found[0]
        return vectors


@dataclass(frozen=True)
class TensorRtRuntime:
    """`tensorrt`: a tower without engines for each GPU is left to another runtime."""

    uses_host_cores: bool = False

    def devices(self) -> Sequence[str]:
        names = CudaRuntime().devices()  # which computes what TensorRT cannot
        require_provider(PROVIDER)
        tensorrt_version()
        return names

    def objection(self, graph: TowerGraph) -> str | None:
        if reason := _unfit(graph):
            return reason
        for number, gpu in enumerate(find_gpus()):
            if not engine_folder(graph, gpu).is_built:
                return f"no engine is built for device {number} ({gpu.name}); run: simila models build"
        return None

    def start(self, graph: TowerGraph, device_number: int, threads: int) -> TensorRtBackend:  # noqa: ARG002
        """Load what is built.

        Raises:
            ModelError: there are no engines for this GPU, driver and version, or they cannot be loaded.

        """
        gpu = find_gpus()[device_number]
        folder = engine_folder(graph, gpu)
        if not folder.is_built:
            raise ModelError(
                f"{graph.files.folder.name} has no TensorRT engine for {gpu.name}; run: simila models build"
            )
        return TensorRtBackend(_sessions(graph, device_number, folder), graph.output_name)


def build_engines(graph: TowerGraph, device_number: int, on_step: Callable[[int, int], None]) -> Path:
    """Build a tower's engines for one GPU, unless they are there, and return their folder; this takes minutes.

    Raises:
        DeviceUnavailable: there is no such GPU, or no TensorRT.
        ModelError: TensorRT cannot build an engine.

    """
    if reason := _unfit(graph):
        raise ModelError(f"{graph.files.folder.name}: {reason}; CUDA serves it")
    folder = engine_folder(graph, find_gpus()[device_number])
    if not folder.is_built:
        for path in (folder.path, folder.timings):
            path.mkdir(parents=True, exist_ok=True)
        _sessions(graph, device_number, folder, on_step)
        if not folder.engines():
            raise ModelError(f"TensorRT can compute nothing of {graph.files.folder.name}; CUDA serves it")
        folder.keep_record()
    return folder.path


def engine_folder(graph: TowerGraph, gpu: Gpu) -> EngineFolder:
    key = EngineKey(
        gpu=gpu.name,
        compute_capability=gpu.compute_capability,
        driver=gpu.driver,
        tensorrt=tensorrt_version(),
        onnxruntime=onnxruntime.__version__,
        onnx_sha256=graph.files.read_record().onnx_sha256,
        profiles=written_profiles(profiles_of(graph.manifest, graph.modality)),
    )
    return EngineFolder(graph.files, key)


def tensorrt_version(load: Callable[[], Any] = lambda: ctypes.CDLL(LIBRARY)) -> str:
    """The version of the library that ONNX Runtime will use, such as "10.13.3".

    Raises:
        DeviceUnavailable: it is not installed.

    """
    with suppress(ImportError):  # the wheel has the library where the loader does not look
        import_module("tensorrt_libs")
    try:
        number: int = load().getInferLibVersion()
    except OSError as error:
        raise DeviceUnavailable(f"TensorRT is not installed ({LIBRARY}); run: {INSTALL}") from error
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"


def _unfit(graph: TowerGraph) -> str | None:
    image = graph.manifest.image
    if graph.modality is Modality.IMAGE and image and image.bits > 8:
        return f"TensorRT has no unsigned integers of {image.bits} bits"
    return None


def _sessions(
    graph: TowerGraph,
    device_number: int,
    folder: EngineFolder,
    on_step: Callable[[int, int], None] = lambda done, steps: None,  # noqa: ARG005
) -> list[tuple[Profile, Any]]:
    """A session a profile, each of which has run its usual shape once; what is not built is built here."""
    half = graph.manifest.precision(graph.modality) is Precision.FP16
    profiles = profiles_of(graph.manifest, graph.modality)
    sessions = []
    for done, profile in enumerate(profiles):
        on_step(done, len(profiles))
        options = tensorrt_options(device_number, profile, folder.path / str(done), folder.timings, half=half)
        # What TensorRT cannot compute is left to CUDA.
        providers = [(PROVIDER, options), (CUDA_PROVIDER, cuda_options(device_number, graphs=False))]
        session = start_session(graph.onnx, [*providers, "CPUExecutionProvider"])
        with GATE.run():  # TensorRT builds at the first run what it could not build before
            session.run([graph.output_name], ones(session, profile.usual))
        sessions.append((profile, session))
    on_step(len(profiles), len(profiles))
    return sessions
