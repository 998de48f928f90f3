"""SmoothQuant (Xiao et al. 2023): what is hard to quantise in a few channels of activations moves into the weights.

A matrix product `x · w` equals `(x / s) · (s w)` for any scale `s` per channel. Activations have channels that are a
hundred times as large as the others and would take all of eight bits; weights, quantised per column, can bear them.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from simila.domain.vectors import Float32
from simila_models.export.precision import Row
from simila_models.export.precision.runs import open_session

# Of the range of activations this power moves. The paper takes 0.5; with MiniLM 0.7 halves the error.
MIGRATION_STRENGTH = 0.7
SMALLEST = 1e-5
LARGEST_SCALE = 100.0


def smoothed(model: onnx.ModelProto, rows: Sequence[Row]) -> onnx.ModelProto:
    """The same function, with the activations before matrix products of constant weights made even over `rows`."""
    smooth = onnx.ModelProto()
    smooth.CopyFrom(model)
    weights = {tensor.name: tensor for tensor in smooth.graph.initializer}
    products: dict[str, list[onnx.NodeProto]] = {}
    for node in smooth.graph.node:
        if node.op_type == "MatMul" and node.input[1] in weights:
            products.setdefault(node.input[0], []).append(node)
    ranges = _largest_values(model, list(products), rows) if products else {}
    for activation, nodes in products.items():
        matrices = {node.input[1]: numpy_helper.to_array(weights[node.input[1]]) for node in nodes}
        scales = _scales(ranges[activation], list(matrices.values()))
        for name, matrix in matrices.items():
            weights[name].CopyFrom(numpy_helper.from_array(matrix * scales[:, None], name))
        _divide(smooth.graph, activation, nodes, scales)
    return smooth


def _largest_values(model: onnx.ModelProto, names: Sequence[str], rows: Sequence[Row]) -> Mapping[str, Float32]:
    """The largest absolute value of each channel of inner tensors over all rows."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = open_session(probe.SerializeToString())
    largest: dict[str, Float32] = {}
    for row in rows:
        for name, values in zip(names, session.run(list(names), dict(row)), strict=True):
            found = np.abs(values.reshape(-1, values.shape[-1])).max(axis=0)
            largest[name] = np.maximum(largest.get(name, found), found)
    return largest


def _scales(activations: Float32, matrices: Sequence[NDArray[np.float32]]) -> Float32:
    """`s` for each channel; their geometric mean is 1."""
    rows = np.max([np.abs(matrix).max(axis=1) for matrix in matrices], axis=0)
    weaker = (1 - MIGRATION_STRENGTH) * np.log(np.maximum(rows, SMALLEST))
    logarithms = MIGRATION_STRENGTH * np.log(np.maximum(activations, SMALLEST)) - weaker
    scales = np.clip(np.exp(logarithms - logarithms.mean()), 1 / LARGEST_SCALE, LARGEST_SCALE)
    return np.asarray(scales, dtype=np.float32)


def _divide(graph: onnx.GraphProto, activation: str, nodes: Sequence[onnx.NodeProto], scales: Float32) -> None:
    """Put `activation / scales` before all of `nodes`, which take it."""
    divisor, divided = f"{activation}.scales", f"{activation}.smooth"
    graph.initializer.append(numpy_helper.from_array(1 / scales, divisor))
    names = [node.name for node in graph.node]
    first = min(names.index(node.name) for node in nodes)
    graph.node.insert(first, helper.make_node("Mul", [activation, divisor], [divided], name=divided))
    for node in nodes:
        node.input[0] = divided
