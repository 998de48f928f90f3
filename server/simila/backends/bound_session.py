"""An ONNX Runtime session whose inputs and outputs stay on the device, at one place for each shape."""

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

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
    first batch of a bucket captures it. Sessions that capture run one batch at a time. `device` is "cuda" or "cpu".
    """

    def __init__(
        self, session: Any, output_name: str, dimension: int, buckets: ShapeBuckets, device: str, device_number: int
    ) -> None:
        self._session = session
        self._output_name = output_name
        self._dimension = dimension
        self._buckets = buckets
        self._device = device, device_number
        self._bindings: dict[Bucket, _Binding] = {}
        self._lock = threading.Lock()
        self._without_graph = _run_options(NO_GRAPH)

    def run(self, tensors: Tensors) -> Float32:
        rows = len(next(iter(tensors.values())))
        bucket = self._buckets.smallest(tensors)
        with self._lock:
            if bucket is None:
                vectors: Float32 = self._session.run([self._output_name], dict(tensors), self._without_graph)[0]
                return vectors
            batch = padded(tensors, bucket)
            binding = self._bindings.get(bucket) or self._bind(bucket, batch)
            for name, tensor in batch.items():
                binding.inputs[name].update_inplace(tensor)
            self._session.run_with_iobinding(binding.io, binding.options)
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
        # 0 is ONNX Runtime's own.
        binding = _Binding(inputs, output, io, _run_options(str(len(self._bindings) + 1)))
        self._bindings[bucket] = binding
        return binding


def _run_options(graph_id: str) -> Any:
    options = onnxruntime.RunOptions()
    options.add_run_config_entry(GRAPH_ID, graph_id)
    return options
