"""Which NVIDIA GPUs this process may use, by the driver's own library: no runtime need be loaded to find none."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simila.domain.errors import DeviceUnavailable

LIBRARY = "libcuda.so.1"
DRIVER_VERSION_FILE = Path("/sys/module/nvidia/version")
NAME_BYTES = 256
# CUdevice_attribute, of the CUDA driver API
COMPUTE_CAPABILITY_MAJOR, COMPUTE_CAPABILITY_MINOR = 75, 76


@dataclass(frozen=True)
class Gpu:
    """A GPU or a part of one, as CUDA numbers them after CUDA_VISIBLE_DEVICES."""

    name: str
    compute_capability: str
    driver: str


def find_gpus(load: Callable[[], Any] = lambda: ctypes.CDLL(LIBRARY)) -> list[Gpu]:
    """All of them, in CUDA's order; at least one.

    Raises:
        DeviceUnavailable: there is no driver, or it has no GPU for this process.

    """
    try:
        cuda = load()
    except OSError as error:
        raise DeviceUnavailable(f"this machine has no NVIDIA driver ({LIBRARY})") from error
    if status := cuda.cuInit(0):
        raise DeviceUnavailable(f"the NVIDIA driver has no GPU for this process (cuInit: {status})")
    count = ctypes.c_int()
    cuda.cuDeviceGetCount(ctypes.byref(count))
    if not count.value:
        raise DeviceUnavailable("the NVIDIA driver has no GPU for this process (CUDA_VISIBLE_DEVICES hides it?)")
    driver = _driver_version(cuda)
    return [_gpu(cuda, number, driver) for number in range(count.value)]


def _gpu(cuda: Any, number: int, driver: str) -> Gpu:
    name, device = ctypes.create_string_buffer(NAME_BYTES), ctypes.c_int()
    cuda.cuDeviceGet(ctypes.byref(device), number)
    cuda.cuDeviceGetName(name, NAME_BYTES, device)
    major, minor = ctypes.c_int(), ctypes.c_int()
    cuda.cuDeviceGetAttribute(ctypes.byref(major), COMPUTE_CAPABILITY_MAJOR, device)
    cuda.cuDeviceGetAttribute(ctypes.byref(minor), COMPUTE_CAPABILITY_MINOR, device)
    return Gpu(name.value.decode(errors="replace"), f"{major.value}.{minor.value}", driver)


def _driver_version(cuda: Any) -> str:
    """The driver's own version where the system tells it, and that of the CUDA it brings."""
    version = ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(version))
    brought = f"CUDA {version.value // 1000}.{version.value % 1000 // 10}"
    try:
        return f"{DRIVER_VERSION_FILE.read_text(encoding='ascii').strip()}, {brought}"
    except OSError:
        return brought
