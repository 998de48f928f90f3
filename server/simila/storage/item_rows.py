"""Rows on their way into SQLite and out of it, many in one step.

Python's sqlite3 gives the GIL away at every row, and beside a busy thread it takes milliseconds to get it back: 5,000
inserts one by one then take seconds. So rows go in as one value, and come out as one row.
"""

import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import Literal, NamedTuple

import numpy as np
import orjson

from simila.domain.results import Payload
from simila.domain.vectors import Float32, Int64

_NULL = -1
_SEPARATOR, _ABSENT = b"\xfe", b"\xff"  # bytes that are in no UTF-8
_FILLER = b"\0"  # of an empty BLOB, SQLite's substr is NULL


class ItemRow(NamedTuple):
    """An item without its vector. `sequence` grows with every write, so it also dates it."""

    sequence: int
    id: str
    label: str | None
    payload_json: str | None

    @property
    def payload(self) -> Payload | None:
        return None if self.payload_json is None else json.loads(self.payload_json)


@dataclass(frozen=True)
class Source:
    """What a vector was computed from: a text in UTF-8, or the bytes of an image file."""

    kind: Literal["text", "image"]
    content: bytes


@dataclass(frozen=True)
class ItemChunk:
    """What an index needs of consecutive items."""

    sequences: Int64  # [n]
    vectors: Float32  # [n, d]
    labels: Sequence[str | None]


class Packed(NamedTuple):
    """Columns of byte strings as one: `layout` is JSON, for each row the start and length of each, and their checksum.

    Offsets, because SQLite's JSON functions end a string at its first NUL.
    """

    content: bytes
    layout: str


def packed(*columns: Sequence[bytes | None]) -> Packed:
    """Pack columns of equal length for `packed_column` and `packed_checksum` to unpack."""
    lengths = np.array([[_NULL if value is None else len(value) for value in column] for column in columns])
    sizes = np.maximum(lengths, 0).ravel()
    starts = (sizes.cumsum() - sizes).reshape(lengths.shape) + 2  # SQLite counts from one, and _FILLER
    checksums = np.array([checksum(row) for row in zip(*columns, strict=True)])
    layout = np.vstack([*(part for pair in zip(starts, lengths, strict=True) for part in pair), checksums])
    content = b"".join([_FILLER, *(value for column in columns for value in column if value)])
    return Packed(content, orjson.dumps(np.ascontiguousarray(layout.T), option=orjson.OPT_SERIALIZE_NUMPY).decode())


def packed_column(column: int) -> str:
    """The SQL of one column of a packed row, with `json_each(:layout) AS row`: a BLOB or NULL."""
    start, length = (f"json_extract(row.value, '$[{2 * column + place}]')" for place in (0, 1))
    return f"substr(:content, {start}, nullif({length}, {_NULL}))"


def packed_checksum(columns: int) -> str:
    """The SQL of the checksum of a packed row of so many columns."""
    return f"json_extract(row.value, '$[{2 * columns}]')"


def checksum(values: Iterable[bytes | None]) -> int:
    """CRC-32 of a row; None and empty differ."""
    return zlib.crc32(_SEPARATOR.join([_ABSENT if value is None else value for value in values]))


def unpacked_rows(text: str) -> list[ItemRow]:
    """The items in a JSON array of `[sequence, id, label, payload, checksum]`.

    Raises:
        ValueError: naming an item whose bytes are not those that were written.

    """
    return list(starmap(unpacked_row, orjson.loads(text)))


def unpacked_row(sequence: int, item_id: str, label: str | None, payload: str | None, expected: int) -> ItemRow:
    """The item of one row.

    Raises:
        ValueError: its bytes are not those that were written.

    """
    label_bytes = _ABSENT if label is None else label.encode()
    payload_bytes = _ABSENT if payload is None else payload.encode()
    if zlib.crc32(_SEPARATOR.join((item_id.encode(), label_bytes, payload_bytes))) != expected:
        raise ValueError(f"item '{item_id}' (sequence {sequence}) fails its checksum")
    return ItemRow(sequence, item_id, label, payload)


def integers(text: str | None) -> Int64:
    """The numbers that SQLite's `group_concat` wrote: `int64 [n]`."""
    return np.fromstring(text or "", dtype=np.int64, sep=",")
