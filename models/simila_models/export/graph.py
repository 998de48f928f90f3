"""torch module to ONNX: dynamic batch, weights within or, where they are too many, beside; checked."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from onnx_ir.passes.common import NameFixPass
from torch import nn

_TALKATIVE = ("torch.onnx", "onnxscript")

MOST_WEIGHTS_BYTES = 2**31 - 2**26
"""A file of protocol buffers ends at two gigabytes; nodes and names want some of it."""

_EXAMPLE_ROWS = 2
"""The exporter takes an axis of length 0 or 1 for a constant."""


def export_graph(
    module: nn.Module,
    rows: Mapping[str, NDArray[Any]],
    dynamic_axes: tuple[str, ...],
    output_name: str,
    path: Path,
) -> None:
    """Export `module`, which takes `rows` in their order: arrays with two rows or more, `[n, ...]`, by input name.

    `dynamic_axes` names their leading axes, batch first. The ONNX file holds the weights, or else `path` with `.data`
    behind it does: more than `MOST_WEIGHTS_BYTES` of them.
    """
    example = tuple(torch.from_numpy(array[:_EXAMPLE_ROWS]) for array in rows.values())
    axes = {axis: torch.export.Dim(name) for axis, name in enumerate(dynamic_axes)}
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module.eval(),
            example,
            dynamo=True,
            input_names=list(rows),
            output_names=[output_name],
            dynamic_shapes=(axes,) * len(example),
            verbose=False,
        )
    assert program is not None
    # An inner value may have the name that the output was given: torch calls a lookup "embedding" too.
    NameFixPass()(program.model)
    _ask_floats_for_shapes(program.model.graph)
    weights_bytes = sum(
        value.const_value.nbytes for value in program.model.graph.initializers.values() if value.const_value
    )
    program.save(path, external_data=weights_bytes > MOST_WEIGHTS_BYTES)
    onnx.checker.check_model(path, full_check=True)


def _ask_floats_for_shapes(graph: ir.Graph) -> None:
    """Leave pixels to their cast alone: TensorRT takes unsigned integers of 8 bits there and nowhere else."""
    for pixels in (value for value in graph.inputs if value.dtype == ir.DataType.UINT8):
        cast = next(node for node in pixels.consumers() if node.op_type == "Cast")
        for node, position in tuple(pixels.uses()):
            if node.op_type == "Shape":
                node.replace_input_with(position, cast.outputs[0])
    graph.sort()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's own calls of what it deprecated, and the logs of what is not there or not folded."""
    logs = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
