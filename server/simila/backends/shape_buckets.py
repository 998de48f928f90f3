"""Few shapes instead of many: what a GPU has captured or compiled for one serves every batch that fits into it."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simila.domain.manifest import Manifest, Modality

SHORTEST_BUCKET_TOKENS = 16

Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Bucket:
    """A batch's shape: so many rows and, of texts, so many tokens each; images have none."""

    rows: int
    tokens: int | None = None


@dataclass(frozen=True)
class ShapeBuckets:
    """Rows and tokens that a batch is padded to, ascending; `tokens` is empty for images."""

    rows: tuple[int, ...]
    tokens: tuple[int, ...] = ()

    @classmethod
    def of_tower(cls, manifest: Manifest, modality: Modality, most_rows: int) -> "ShapeBuckets":
        """Powers of two, up to `most_rows` rows and to the context length."""
        if modality is Modality.IMAGE:
            return cls(_powers(1, most_rows))
        assert manifest.text
        return cls(_powers(1, most_rows), _powers(SHORTEST_BUCKET_TOKENS, manifest.text.context_length_tokens))

    def smallest(self, tensors: Tensors) -> Bucket | None:
        """The smallest bucket that holds a batch; None if it is larger than all."""
        shape = next(iter(tensors.values())).shape
        rows = _next(self.rows, shape[0])
        if not self.tokens:
            return Bucket(rows) if rows else None
        tokens = _next(self.tokens, shape[1])
        return Bucket(rows, tokens) if rows and tokens else None


def padded(tensors: Tensors, bucket: Bucket) -> dict[str, NDArray[Any]]:
    """A batch in a bucket's shape: texts end in zeros, which their mask leaves out, and the last row is repeated."""
    return {name: _padded(tensor, bucket) for name, tensor in tensors.items()}


def _padded(tensor: NDArray[Any], bucket: Bucket) -> NDArray[Any]:
    shape = (bucket.rows, *([bucket.tokens] if bucket.tokens else tensor.shape[1:2]), *tensor.shape[2:])
    if shape == tensor.shape:
        return np.ascontiguousarray(tensor)
    filled = np.zeros(shape, dtype=tensor.dtype)
    rows, length = tensor.shape[:2]
    filled[:rows, :length] = tensor
    filled[rows:] = filled[rows - 1]
    return filled


def _powers(first: int, last: int) -> tuple[int, ...]:
    """Powers of two from `first` on, below `last`, and `last`."""
    powers = [first]
    while powers[-1] * 2 < last:
        powers.append(powers[-1] * 2)
    return (*(power for power in powers if power < last), last)


def _next(sizes: tuple[int, ...], size: int) -> int | None:
    position = bisect_left(sizes, size)
    return sizes[position] if position < len(sizes) else None
