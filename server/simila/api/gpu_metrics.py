"""How full the GPUs are, for Prometheus."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily

from simila.backends.gpu_memory import gpu_memory


class GpuMetrics:
    """A collector of the memory of each GPU that the driver shows."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        used = GaugeMetricFamily("simila_gpu_memory_used_bytes", "Memory in use, of all processes.", labels=("gpu",))
        total = GaugeMetricFamily("simila_gpu_memory_total_bytes", "Memory that the GPU has.", labels=("gpu",))
        for memory in gpu_memory():
            used.add_metric([str(memory.gpu)], memory.used_bytes)
            total.add_metric([str(memory.gpu)], memory.total_bytes)
        yield from (used, total)
