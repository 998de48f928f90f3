from simila.backends import gpu_memory
from simila.backends.gpu_memory import GpuMemory


class Nvml:
    """As the driver's library, with two GPUs of which one has been lost."""

    def nvmlDeviceGetCount_v2(self, count):  # noqa: N802  NVML's names
        count._obj.value = 2
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, number, device):  # noqa: N802
        device._obj.value = number + 1
        return 15 if number == 1 else 0

    def nvmlDeviceGetMemoryInfo(self, device, memory):  # noqa: N802
        assert device.value == 1
        memory._obj.total, memory._obj.free, memory._obj.used = 100, 70, 30
        return 0


def test_a_gpu_that_was_lost_is_left_out(monkeypatch):
    monkeypatch.setattr(gpu_memory, "_nvml", Nvml)
    assert gpu_memory.gpu_memory() == [GpuMemory(0, used_bytes=30, total_bytes=100)]


def test_without_a_driver_there_is_none(monkeypatch):
    monkeypatch.setattr(gpu_memory, "_nvml", lambda: None)
    assert gpu_memory.gpu_memory() == []
