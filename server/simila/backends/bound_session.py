"""An ONNX Runtime session whose inputs and outputs stay on the device, at one place for each shape."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from simila.backends.capture_gate import GATE, CaptureGate
from simila.backends.shape_buckets import Bucket, ShapeBuckets, Tensors, padded
from simila.domain.vectors import Float32

GRAPH_ID = "gpu_graph_id"
NO_GRAPH = "-1"


@dataclass(frozen=True)
class _Binding:
    """Buffers of one shape, and the id under which the CUDA graph of that shape is captured."""

    inputs: dict[str, Any]
    output: Any
    io: Any
    options: Any


class BoundSession:
    """Runs batches in the shapes of `buckets`, each in buffers of its own; larger ones as they come.

    A CUDA graph replays kernels on fixed addresses and knows nothing of shapes, so each bucket has its own graph: the
    first batch of a bucket captures it, if `graphs`. ONNX Runtime keeps graphs by thread, so all batches run in one.
    `device` is "cuda" or "cpu".
    """

    def __init__(
        self,
        session: Any,
        output_name: str,
        dimension: int,
        buckets: ShapeBuckets,
        device: str,
        device_number: int,
        *,
        graphs: bool,
        gate: CaptureGate = GATE,
    ) -> None:
        self._session = session
        self._output_name = output_name
        self._dimension = dimension
        self._buckets = buckets
        self._device = device, device_number
        self._graphs = graphs
        self._gate = gate
        self._bindings: dict[Bucket, _Binding] = {}
        self._graph_ids = count(1)  # 0 is ONNX Runtime's own
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"{device}-{device_number}")
        self._without_graph = _run_options(NO_GRAPH)

    def run(self, tensors: Tensors) -> Float32:
        return self._thread.submit(self._run, tensors).result()

    def close(self) -> None:
        """Destroy the session and its buffers, which uses CUDA as well."""
        self._thread.submit(self._drop).result()

    def _drop(self) -> None:
        with self._gate.run():
            self._bindings.clear()
            self._session = None

    def _run(self, tensors: Tensors) -> Float32:
        bucket = self._buckets.smallest(tensors)
        if bucket is None:
            with self._gate.run():
                vectors: Float32 = self._session.run([self._output_name], dict(tensors), self._without_graph)[0]
                return vectors
        batch, rows = padded(tensors, bucket), len(next(iter(tensors.values())))
        captures = self._graphs and bucket not in self._bindings
        with self._gate.capture() if captures else self._gate.run():
            binding = self._bindings.get(bucket) or self._bind(bucket, batch)
            for name, tensor in batch.items():
                binding.inputs[name].update_inplace(tensor)
            self._session.run_with_iobinding(binding.io, binding.options)
            self._bindings[bucket] = binding  # not before it has run: what failed is tried anew
            found: NDArray[np.float32] = np.array(binding.output.numpy()[:rows])  # the buffer is the next batch's
            return found

    def _bind(self, bucket: Bucket, batch: Tensors) -> _Binding:
        inputs = {name: onnxruntime.OrtValue.ortvalue_from_numpy(one, *self._device) for name, one in batch.items()}
        output = onnxruntime.OrtValue.ortvalue_from_shape_and_type(
            [bucket.rows, self._dimension], np.float32, *self._device
        )
        io = self._session.io_binding()
        for name, value in inputs.items():
            io.bind_ortvalue_input(name, value)
        io.bind_ortvalue_output(self._output_name, output)
        return _Binding(inputs, output, io, _run_options(str(next(self._graph_ids))))


def _run_options(graph_id: str) -> Any:
    options = onnxruntime.RunOptions()
    options.add_run_config_entry(GRAPH_ID, graph_id)
    return options
