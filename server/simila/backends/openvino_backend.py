"""One tower on OpenVINO's CPU plugin."""

import os
from collections.abc import Mapping
from pathlib import Path
from queue import LifoQueue
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import properties
from openvino.properties import hint

from simila.domain.errors import ModelError
from simila.domain.vectors import Float32

CPU = "CPU"
BF16 = "BF16"


class OpenVinoBackend:
    """One compiled model, with as many streams as there are runs of `threads` at once.

    It computes in bf16 where the CPU has instructions for that, else in fp32. OpenVINO reads ONNX files as they are,
    int8 ones too.

    Raises:
        ModelError: OpenVINO cannot load the file.

    """

    def __init__(self, onnx: Path, output_name: str, threads: int) -> None:
        streams = max(1, len(os.sched_getaffinity(0)) // threads)
        core = openvino.Core()
        options = {
            properties.num_streams(): streams,
            properties.inference_num_threads(): streams * threads,
            hint.inference_precision(): openvino.Type.bf16 if _has_bf16(core) else openvino.Type.f32,
            # Pinned threads stay on a core that decoding or another tower keeps busy.
            hint.enable_cpu_pinning(): False,
        }
        try:
            compiled = core.compile_model(core.read_model(onnx), CPU, options)
        except Exception as error:  # OpenVINO raises RuntimeError, and others of its binding's
            raise ModelError(f"OpenVINO cannot load {onnx}: {error}") from error
        self._output_name = output_name
        self._idle: LifoQueue[openvino.InferRequest] = LifoQueue()
        for _ in range(streams):
            self._idle.put(compiled.create_infer_request())

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> Float32:
        request = self._idle.get()
        try:
            # The request's own memory is overwritten by its next run.
            return np.array(request.infer(dict(tensors), share_inputs=True)[self._output_name])
        finally:
            self._idle.put(request)


def describe() -> str:
    """OpenVINO's version and the type it computes with here."""
    numbers = "bf16" if _has_bf16(openvino.Core()) else "fp32"
    return f"OpenVINO {openvino.__version__.partition('-')[0]}, {numbers}"


def _has_bf16(core: openvino.Core) -> bool:
    return BF16 in core.get_property(CPU, properties.device.capabilities())
