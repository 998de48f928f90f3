"""Tensors of octets, as the Open Inference Protocol's JSON, its binary extension and its gRPC send them."""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from simila.domain.errors import InvalidInput

BYTES = "BYTES"
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class BytesTensor:
    """A tensor of datatype BYTES, row-major: elements, or octets of elements that each come after their length.

    Octets are split only when the elements are asked for: four of them may be one, and a caller counts first.
    """

    name: str
    shape: Sequence[int]
    content: bytes | Sequence[bytes | str] = field(repr=False)

    @property
    def count(self) -> int:
        """How many elements the shape has."""
        return math.prod(self.shape)

    def elements(self) -> Sequence[bytes | str]:
        """As many elements as the shape has.

        Raises:
            InvalidInput: the content has fewer or more, or something else than octets and strings.

        """
        if isinstance(self.content, bytes):
            return self._split(self.content)
        if len(self.content) != self.count:
            raise self._error(f"{len(self.content)} elements do not fit the shape {list(self.shape)}")
        if not all(isinstance(element, bytes | str) for element in self.content):
            raise self._error("elements of BYTES are strings in JSON")
        return self.content

    def _split(self, content: bytes) -> list[bytes]:
        elements, start = [], 0
        for _ in range(self.count):
            begin = start + _LENGTH.size
            end = begin + _LENGTH.unpack_from(content, start)[0] if begin <= len(content) else begin
            if end > len(content):
                raise self._error(f"its octets end before the {self.count} elements of its shape do")
            elements.append(content[begin:end])
            start = end
        if start != len(content):
            raise self._error(f"{len(content) - start} octets are left after the {self.count} elements of its shape")
        return elements

    def _error(self, what: str) -> InvalidInput:
        return InvalidInput(f"{self.name}: {what}", param=self.name)
