"""How full the GPUs are, asked of the driver's management library (NVML)."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

LIBRARY = "libnvidia-ml.so.1"


class _Memory(ctypes.Structure):
    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


@dataclass(frozen=True)
class GpuMemory:
    """Of a GPU by NVML's number, of all processes together."""

    gpu: int
    used_bytes: int
    total_bytes: int


def gpu_memory() -> Sequence[GpuMemory]:
    """The memory of each GPU; empty where there is no NVIDIA driver."""
    nvml = _nvml()
    if nvml is None:
        return []
    count = ctypes.c_uint()
    nvml.nvmlDeviceGetCount_v2(ctypes.byref(count))
    found = []
    for number in range(count.value):
        device, memory = ctypes.c_void_p(), _Memory()
        if nvml.nvmlDeviceGetHandleByIndex_v2(number, ctypes.byref(device)):
            continue
        if nvml.nvmlDeviceGetMemoryInfo(device, ctypes.byref(memory)) == 0:
            found.append(GpuMemory(number, memory.used, memory.total))
    return found


@cache
def _nvml() -> Any | None:
    try:
        nvml = ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    return None if nvml.nvmlInit_v2() else nvml
