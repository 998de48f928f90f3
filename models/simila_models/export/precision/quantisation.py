"""Weights of 8 bits: ONNX Runtime's quantiser, per channel, on the nodes it is told."""

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_dynamic, quantize_static

from simila.domain.precision import Precision
from simila_models.export.precision import Row

PRODUCTS = ("MatMul", "Gemm")
# Between convolutions activations can stay in 8 bits; the residual sums of a transformer cannot.
BETWEEN_CONVOLUTIONS = ("Add", "Clip", "Relu", "MaxPool", "GlobalAveragePool")


class _Rows(CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime brings no types
    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = iter(rows)

    def get_next(self) -> Row | None:
        return next(self._rows, None)


def quantisable_nodes(model: onnx.ModelProto, precision: Precision) -> list[str]:
    """Names of the nodes with constant weights that a precision can quantise."""
    constants = {tensor.name for tensor in model.graph.initializer}
    kinds = PRODUCTS if precision is Precision.INT8_DYNAMIC else (*PRODUCTS, "Conv")
    return [node.name for node in model.graph.node if node.op_type in kinds and node.input[1] in constants]


def quantise(source: Path, target: Path, precision: Precision, nodes: Collection[str], rows: Sequence[Row]) -> None:
    """Write `source` with the weights of `nodes` in 8 bits; `rows` calibrate the activations of a static precision."""
    with _quiet():
        if precision is Precision.INT8_DYNAMIC:
            quantize_dynamic(
                source,
                target,
                op_types_to_quantize=list(PRODUCTS),
                nodes_to_quantize=list(nodes),
                per_channel=True,
                weight_type=QuantType.QInt8,
                extra_options={"MatMulConstBOnly": True},
            )
        else:
            quantize_static(
                source,
                target,
                _Rows(rows),
                nodes_to_quantize=[*nodes, *_between(onnx.load(source), nodes)],
                per_channel=True,
                # Unsigned, for which this CPU has instructions; signed activations run as slowly as fp32.
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                # Sums go on in float, as in a dynamic precision: rounding them too costs exactness, and gains nothing.
                extra_options={"MatMulConstBOnly": True, "OpTypesToExcludeOutputQuantization": list(PRODUCTS)},
            )


def _between(model: onnx.ModelProto, nodes: Collection[str]) -> list[str]:
    """The nodes between quantised convolutions: of a network that consists of them."""
    kinds = [node.op_type for node in model.graph.node if node.name in set(nodes)]
    if kinds.count("Conv") <= len(kinds) / 2:
        return []
    return [node.name for node in model.graph.node if node.op_type in BETWEEN_CONVOLUTIONS]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantiser's advice to preprocess, which changes nothing in graphs that torch has exported."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
