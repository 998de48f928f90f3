"""Triton's description of a model: https://github.com/triton-inference-server/server, model_configuration.md."""

from pathlib import Path

import onnx

MAX_BATCH_ROWS = 64

_TYPES: dict[int, str] = {
    onnx.TensorProto.UINT8: "TYPE_UINT8",
    onnx.TensorProto.INT64: "TYPE_INT64",
    onnx.TensorProto.FLOAT: "TYPE_FP32",
}


def write_triton_config(name: str, onnx_path: Path, config_path: Path) -> None:
    """Write `config.pbtxt` with the graph's own tensors; the batch axis goes without saying in it."""
    graph = onnx.load(onnx_path).graph
    inputs = ",\n".join(_tensor(value) for value in graph.input)
    outputs = ",\n".join(_tensor(value) for value in graph.output)
    config_path.write_text(
        f'name: "{name}"\n'
        'platform: "onnxruntime_onnx"\n'
        f"max_batch_size: {MAX_BATCH_ROWS}\n"
        f"input [\n{inputs}\n]\n"
        f"output [\n{outputs}\n]\n"
        "dynamic_batching { }\n",
        encoding="utf-8",
    )


def _tensor(value: onnx.ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    dims = [dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim[1:]]
    return f'  {{ name: "{value.name}", data_type: {_TYPES[tensor.elem_type]}, dims: {dims} }}'
