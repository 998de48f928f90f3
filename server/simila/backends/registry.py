"""The words of `SIMILA_DEVICE`: which runtime each stands for."""

from collections.abc import Mapping

from simila.backends import Runtime
from simila.backends.cuda import CudaRuntime
from simila.backends.onnx_runtime import CpuRuntime
from simila.backends.openvino import OpenVinoRuntime, is_installed
from simila.backends.tensorrt import TensorRtRuntime
from simila.backends.torch_program import TorchRuntime
from simila.backends.triton import TritonOptions, TritonRuntime

# `auto` takes the first of these that has a device here and no objection to a tower.
AUTO_ORDER = ("tensorrt", "cuda", "openvino", "cpu")
# Serves the towers that the one asked for objects to: while TensorRT's engines are built, CUDA does.
STAND_INS = {"tensorrt": "cuda"}


def runtimes(triton: TritonOptions) -> Mapping[str, Runtime]:
    """Every runtime there is, by its word; whether it can be used here is for `Runtime.devices` to say."""
    return {
        "cpu": CpuRuntime(),
        "cuda": CudaRuntime(),
        "tensorrt": TensorRtRuntime(),
        "torch": TorchRuntime(),
        "openvino": OpenVinoRuntime(),
        "triton": TritonRuntime(triton),
    }


def host_rivals() -> Mapping[str, Runtime]:
    """Installed runtimes that use this machine's cores as `cpu` does: `simila models tune` measures them beside it."""
    return {"openvino": OpenVinoRuntime()} if is_installed() else {}
