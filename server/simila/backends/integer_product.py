"""Products of 8-bit matrices on the CPU, by the kernels that ONNX Runtime has for quantised models."""

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from simila.backends.onnx_runtime import session_options

LARGEST_DIGIT = 64
"""Kernels without VNNI add two products in 16 bits, which hold 2 * 128 * 127 and not much more."""

_IR_VERSION, _OPERATORS_VERSION = 8, 13
_UINT8, _INT8, _INT32 = 2, 3, 6  # TensorProto.DataType
_EXTERNAL = 1  # TensorProto.DataLocation


class IntegerProduct:
    """`digits . codes`, exactly; `codes` `int8 [d, c]` are copied once, into the kernel's own layout."""

    def __init__(self, codes: NDArray[np.int8]) -> None:
        options = session_options(threads=1)
        # Within the model they would be kept a second time, as the bytes of the model.
        options.add_external_initializers(["codes"], [onnxruntime.OrtValue.ortvalue_from_numpy(codes)])
        model = _model(*codes.shape)
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def __call__(self, digits: NDArray[np.int32]) -> NDArray[np.int32]:
        """Products `int32 [n, c]` of `digits int32 [n, d]`, none further from 0 than `LARGEST_DIGIT`."""
        product: NDArray[np.int32] = self._session.run(None, {"digits": (digits + LARGEST_DIGIT).astype(np.uint8)})[0]
        return product


def _model(dimension: int, classes: int) -> bytes:
    """An ONNX model of one node: the `onnx` package would write the same, and serving does without it."""
    node = b"".join(_field(1, name) for name in (b"digits", b"codes", b"zero")) + _field(2, b"product")
    dims = _field(1, dimension) + _field(1, classes)
    elsewhere = _field(13, _field(1, b"location") + _field(2, b"memory")) + _field(14, _EXTERNAL)
    graph = (
        _field(1, node + _field(4, b"MatMulInteger"))
        + _field(2, b"integer_product")
        + _field(5, dims + _field(2, _INT8) + _field(8, b"codes") + elsewhere)
        + _field(5, _field(2, _UINT8) + _field(8, b"zero") + _field(9, bytes([LARGEST_DIGIT])))
        + _field(11, _value(b"digits", _UINT8, dimension))
        + _field(12, _value(b"product", _INT32, classes))
    )
    operators = _field(1, b"") + _field(2, _OPERATORS_VERSION)
    return _field(1, _IR_VERSION) + _field(7, graph) + _field(8, operators)


def _value(name: bytes, data_type: int, columns: int) -> bytes:
    shape = _field(1, _field(2, b"n")) + _field(1, _field(1, columns))
    return _field(1, name) + _field(2, _field(1, _field(1, data_type) + _field(2, shape)))


def _field(number: int, value: int | bytes) -> bytes:
    """A field of a protocol buffer: a number, or bytes with their length."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    digits = []
    while value >= 0x80:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])
