"""Tensors as octets, as the Open Inference Protocol's binary extension and its gRPC send them."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from simila.domain.errors import InvalidInput

BYTES = "BYTES"
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class BytesTensor:
    """A tensor of datatype BYTES: row-major elements, octets or, of JSON, strings."""

    name: str
    shape: Sequence[int]
    elements: Sequence[bytes | str]


def bytes_elements(content: bytes, name: str) -> list[bytes]:
    """Split what was sent for a tensor: each element after its length, 4 octets little-endian.

    Raises:
        InvalidInput: an element goes past the end.

    """
    return list(_elements(memoryview(content), name))


def _elements(content: memoryview, name: str) -> Iterator[bytes]:
    start = 0
    while start < len(content):
        begin = start + _LENGTH.size
        end = begin + _LENGTH.unpack_from(content, start)[0] if begin <= len(content) else begin
        if end > len(content):
            raise InvalidInput(f"{name}: its octets end within an element", param=name)
        yield bytes(content[begin:end])
        start = end
