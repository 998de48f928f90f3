"""Triton's description of a model: https://github.com/triton-inference-server/server, model_configuration.md."""

from pathlib import Path

import onnx

from simila.domain.manifest import Manifest, Modality
from simila.domain.model_repository import tower_name

# Warm-up allocates for a batch of this size; a larger one would keep a CPU from starting for long.
WARM_UP_ROWS = 8
WARM_UP_TOKENS = 256

_TYPES: dict[int, str] = {
    onnx.TensorProto.UINT8: "TYPE_UINT8",
    onnx.TensorProto.UINT16: "TYPE_UINT16",
    onnx.TensorProto.INT32: "TYPE_INT32",
    onnx.TensorProto.INT64: "TYPE_INT64",
    onnx.TensorProto.FLOAT16: "TYPE_FP16",
    onnx.TensorProto.FLOAT: "TYPE_FP32",
}
_CONFIG = """\
name: "{name}"
backend: "onnxruntime"
max_batch_size: {max_batch_rows}
input [
{inputs}
]
output [
{outputs}
]
instance_group [
  {{ count: {instances}, kind: KIND_{kind} }}
]
dynamic_batching {{
  default_queue_policy {{ max_queue_size: {max_queued_requests} }}
}}
model_warmup [
{warm_up}
]
"""


def write_triton_config(manifest: Manifest, modality: Modality, onnx_path: Path, config_path: Path) -> None:
    """Write `config.pbtxt` with the graph's own tensors; the batch axis goes without saying in it."""
    graph = onnx.load(onnx_path, load_external_data=False).graph
    triton = manifest.triton
    tokens = min(manifest.text.context_length_tokens, WARM_UP_TOKENS) if manifest.text else 1
    samples = ((1, 1), (min(WARM_UP_ROWS, triton.max_batch_rows), tokens))
    config = _CONFIG.format(
        name=tower_name(manifest.name, modality, manifest.precision(modality)),
        max_batch_rows=triton.max_batch_rows,
        inputs=",\n".join(map(_tensor, graph.input)),
        outputs=",\n".join(map(_tensor, graph.output)),
        instances=triton.instances,
        kind=triton.kind.upper(),
        max_queued_requests=triton.max_queued_requests,
        warm_up=",\n".join(_warm_up(list(graph.input), rows, length) for rows, length in samples),
    )
    config_path.write_text(config, encoding="utf-8")


def _tensor(value: onnx.ValueInfoProto) -> str:
    return f'  {{ name: "{value.name}", data_type: {_type(value)}, dims: {_dims(value)} }}'


def _warm_up(inputs: list[onnx.ValueInfoProto], rows: int, length: int) -> str:
    """A batch of zeros, of which every axis that may have any length has `length`."""
    tensors = "\n".join(
        f'    inputs {{ key: "{value.name}" value {{ data_type: {_type(value)}, '
        f"dims: {[length if dim == -1 else dim for dim in _dims(value)]}, zero_data: true }} }}"
        for value in inputs
    )
    return f'  {{\n    name: "rows of zeros: {rows}", batch_size: {rows}\n{tensors}\n  }}'


def _type(value: onnx.ValueInfoProto) -> str:
    return _TYPES[value.type.tensor_type.elem_type]


def _dims(value: onnx.ValueInfoProto) -> list[int]:
    shape = value.type.tensor_type.shape
    return [dim.dim_value if dim.HasField("dim_value") else -1 for dim in shape.dim[1:]]
