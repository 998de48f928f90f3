"""What a user's ONNX graph lacks at either end: integers in, a pooled vector of unit length out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from simila.domain.errors import InvalidManifest
from simila.domain.manifest import ImageTower, TextTower

_OLDEST_OPSET = 13
"""Before it, axes were attributes."""
_PREFIX = "given/"


def is_mask(name: str) -> bool:
    return "mask" in name


def is_token_type(name: str) -> bool:
    return "type" in name


def with_image_ends(model: onnx.ModelProto, tower: ImageTower) -> onnx.ModelProto:
    """Let a graph of normalised pixels `[batch, channels, height, width]` take the server's rows.

    Raises:
        InvalidManifest: it has more than one input, or a fixed batch, or is of an old opset.

    """
    model = _prefixed(model)
    if len(model.graph.input) != 1:
        raise InvalidManifest(f"the image model has {len(model.graph.input)} inputs, not one")
    [given] = model.graph.input
    largest = 2**tower.bits - 1
    mean, std = (
        _constant(name, largest * np.array(values, np.float32).reshape(1, -1, 1, 1))
        for name, values in (("mean", tower.mean), ("std", tower.std))
    )
    begin = [
        helper.make_node("Cast", [tower.input_name], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["floats", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "std"], ["normalised"]),
        helper.make_node("Cast", ["normalised"], [given.name], to=given.type.tensor_type.elem_type),
    ]
    end = [helper.make_node("Flatten", [model.graph.output[0].name], ["pooled"], axis=1)]
    kind = TensorProto.UINT8 if tower.bits == 8 else TensorProto.UINT16
    pixels = helper.make_tensor_value_info(tower.input_name, kind, ["batch", *tower.row_shape])
    return _joined(model, [pixels], begin, end, [mean, std], tower.output_name)


def with_text_ends(model: onnx.ModelProto, tower: TextTower) -> onnx.ModelProto:
    """Let a graph of token ids take the server's ids and mask, and pool what it gives.

    Raises:
        InvalidManifest: it has a fixed batch, or is of an old opset.

    """
    model = _prefixed(model)
    begin = [helper.make_node("Mul", [tower.ids_name, "zero"], ["zeros"])]
    for given in model.graph.input:
        source = tower.mask_name if is_mask(given.name) else "zeros" if is_token_type(given.name) else tower.ids_name
        begin.append(helper.make_node("Cast", [source], [given.name], to=given.type.tensor_type.elem_type))
    constants = [
        _constant("zero", np.array(0)),
        _constant("one", np.array(1)),
        _constant("tokens_axis", np.array([1])),
        _constant("last_axis", np.array([2])),
    ]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
        for name in (tower.ids_name, tower.mask_name)
    ]
    end = _pooling(model.graph.output[0].name, tower)
    return _joined(model, inputs, begin, end, constants, tower.output_name)


def _pooling(states: str, tower: TextTower) -> list[NodeProto]:
    if tower.pooling == "model":
        return [helper.make_node("Identity", [states], ["pooled"])]
    if tower.pooling == "cls":
        return [helper.make_node("Gather", [states, "zero"], ["pooled"], axis=1)]
    if tower.pooling == "last":
        return [
            helper.make_node("ReduceSum", [tower.mask_name, "tokens_axis"], ["lengths"], keepdims=1),
            helper.make_node("Sub", ["lengths", "one"], ["last"]),
            helper.make_node("GatherND", [states, "last"], ["pooled"], batch_dims=1),
        ]
    return [
        helper.make_node("Unsqueeze", [tower.mask_name, "last_axis"], ["mask"]),
        helper.make_node("CastLike", ["mask", states], ["weights"]),
        helper.make_node("Mul", [states, "weights"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "tokens_axis"], ["sums"], keepdims=0),
        helper.make_node("ReduceSum", ["weights", "tokens_axis"], ["counts"], keepdims=0),
        helper.make_node("Div", ["sums", "counts"], ["pooled"]),
    ]


def _joined(
    model: onnx.ModelProto,
    inputs: Sequence[Any],
    begin: Sequence[NodeProto],
    end: Sequence[NodeProto],
    constants: Sequence[TensorProto],
    output_name: str,
) -> onnx.ModelProto:
    close = [
        helper.make_node("Cast", ["pooled"], ["pooled_floats"], to=TensorProto.FLOAT),
        helper.make_node("LpNormalization", ["pooled_floats"], [output_name], axis=1, p=2),
    ]
    nodes = [*begin, *model.graph.node, *end, *close]
    vector = helper.make_tensor_value_info(output_name, TensorProto.FLOAT, ["batch", None])
    weights = [*model.graph.initializer, *constants]
    graph = helper.make_graph(nodes, "simila", list(inputs), [vector], weights, value_info=model.graph.value_info)
    joined = helper.make_model(graph, opset_imports=model.opset_import, functions=model.functions)
    joined.ir_version = model.ir_version
    return onnx.shape_inference.infer_shapes(joined)


def _prefixed(model: onnx.ModelProto) -> onnx.ModelProto:
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if opset < _OLDEST_OPSET:
        raise InvalidManifest(f"the ONNX file is of opset {opset}; {_OLDEST_OPSET} is the oldest that is read")
    for entry in model.graph.input:
        if not entry.type.tensor_type.shape.dim[0].dim_param:
            raise InvalidManifest(f"the ONNX file's input {entry.name} has a fixed batch; export it with a dynamic one")
    return onnx.compose.add_prefix(model, _PREFIX)


def _constant(name: str, values: Any) -> TensorProto:
    return numpy_helper.from_array(values, name)
