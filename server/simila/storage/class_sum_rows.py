"""The sum of each class's vectors, kept beside the items and changed in the same transaction."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import orjson

from simila.domain.class_sum import ClassSum, changed_sums, sums_by_class
from simila.domain.errors import InvalidInput, InvalidVector
from simila.domain.vectors import Float32, Int64
from simila.storage.connections import path_of, unavailable
from simila.storage.item_rows import checksum, packed, packed_checksum, packed_column
from simila.storage.vector_codec import VectorCodec

_CHUNK_ROWS = 4096

_LABEL = f"CAST({packed_column(0)} AS TEXT)"
# A BLOB is text to group_concat, which copies its bytes as they are; all are of one length.
_SUMS = "json_group_array(label), CAST(group_concat(total, '') AS BLOB), json_group_array(checksum)"
_SELECT = f"""
SELECT {_SUMS} FROM json_each(:layout) AS row CROSS JOIN class_sums ON class_sums.label = {_LABEL}
"""  # noqa: S608 - here and below, what is put in are constants
_SELECT_NEXT = f"SELECT {_SUMS} FROM (SELECT * FROM class_sums WHERE label > ? ORDER BY label LIMIT {_CHUNK_ROWS})"  # noqa: S608
_WRITE = f"""
INSERT INTO class_sums (label, total, checksum)
SELECT {_LABEL}, {packed_column(1)}, {packed_checksum(2)} FROM json_each(:layout) AS row WHERE true
ON CONFLICT (label) DO UPDATE SET total = excluded.total, checksum = excluded.checksum
"""  # noqa: S608
_DELETE = f"DELETE FROM class_sums WHERE label IN (SELECT {_LABEL} FROM json_each(:layout) AS row)"  # noqa: S608
_LABELLED = """
SELECT json_group_array(label), CAST(group_concat(vector, '') AS BLOB), json_group_array(vectors.checksum)
FROM json_each(?) AS row
CROSS JOIN items ON items.sequence = row.value AND items.label IS NOT NULL
CROSS JOIN vectors ON vectors.sequence = items.sequence
"""


def change_class_sums(
    connection: sqlite3.Connection,
    codec: VectorCodec,
    gained: Mapping[str, ClassSum],
    lost: Mapping[str, ClassSum],
) -> None:
    """Add and take out vectors of classes; the row of a class that has none left is deleted.

    Raises:
        LimitExceeded: a class has too many items.
        CollectionUnavailable: the sums are not those of the items.

    """
    if not gained and not lost:
        return
    path = path_of(connection)
    key = packed([label.encode() for label in sorted({*gained, *lost})])
    known = _decoded(path, codec, connection.execute(_SELECT, key._asdict()).fetchone())
    try:
        changed = changed_sums(known, gained, lost)
    except InvalidInput as error:
        raise unavailable(path, f"a class sum is not that of its items: {error}") from error
    emptied = [label.encode() for label, total in changed.items() if not total.count]
    if emptied:
        connection.execute(_DELETE, packed(emptied)._asdict())
    kept = {label.encode(): total.to_bytes() for label, total in changed.items() if total.count}
    if kept:
        connection.execute(_WRITE, packed(list(kept), list(kept.values()))._asdict())


def class_sums_of(connection: sqlite3.Connection, codec: VectorCodec, sequences: Int64) -> dict[str, ClassSum]:
    """The sum of each class's vectors among the items that have these sequences.

    Raises:
        CollectionUnavailable: a vector is not what was written.

    """
    sums: dict[str, ClassSum] = {}
    for start in range(0, sequences.size, _CHUNK_ROWS):
        chosen = json.dumps(sequences[start : start + _CHUNK_ROWS].tolist())
        labels, blobs, checksums = connection.execute(_LABELLED, (chosen,)).fetchone()
        blobs = blobs or b""
        if codec.checksums(blobs) != orjson.loads(checksums):
            raise unavailable(path_of(connection), "a vector fails its checksum")
        sums |= changed_sums(sums, sums_by_class(codec.decoded(blobs), orjson.loads(labels)), {})
    return sums


def read_class_sums(connection: sqlite3.Connection, path: Path, codec: VectorCodec) -> Iterator[tuple[str, ClassSum]]:
    """Every class and its sum, in the order of the labels' bytes.

    Raises:
        CollectionUnavailable: a sum is not what was written.

    """
    after = ""
    while found := _decoded(path, codec, connection.execute(_SELECT_NEXT, (after,)).fetchone()):
        yield from found.items()
        after = list(found)[-1]


class SumsCheck:
    """Sums made afresh of all items, to compare with those that are kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sums: dict[str, ClassSum] = {}

    def add(self, vectors: Float32, labels: Sequence[str | None]) -> None:
        """Count the next items, `float32 [n, d], unit length`.

        Raises:
            CollectionUnavailable: a vector is not of unit length.

        """
        try:
            self._sums |= changed_sums(self._sums, sums_by_class(vectors, labels), {})
        except InvalidVector as error:
            raise unavailable(self._path, f"a labelled vector is not of unit length: {error}") from error

    def compare(self, kept: Mapping[str, ClassSum]) -> None:
        """Compare with what is kept, bit by bit.

        Raises:
            CollectionUnavailable: naming a class whose sum is not that of its items.

        """
        check_equal(self._path, self._sums, kept)


def check_equal(path: Path, afresh: Mapping[str, ClassSum], kept: Mapping[str, ClassSum]) -> None:
    """Compare sums bit by bit.

    Raises:
        CollectionUnavailable: naming a class whose sum is not that of its items.

    """
    for label in sorted({*kept, *afresh}):
        ours, theirs = afresh.get(label), kept.get(label)
        if ours is None or theirs is None or ours.to_bytes() != theirs.to_bytes():
            raise unavailable(path, f"the sum of class '{label}' is not that of its items")


def _decoded(path: Path, codec: VectorCodec, row: tuple[str, bytes | None, str]) -> dict[str, ClassSum]:
    labels: list[str] = orjson.loads(row[0])
    content = row[1] or b""
    width = 8 * (1 + codec.dimension)
    if len(content) != width * len(labels):
        raise unavailable(path, "it holds a class sum of another dimension")
    totals = [content[start : start + width] for start in range(0, len(content), width)]
    sums = {}
    for label, total, expected in zip(labels, totals, orjson.loads(row[2]), strict=True):
        if checksum([label.encode(), total]) != expected:
            raise unavailable(path, f"the sum of class '{label}' fails its checksum")
        sums[label] = ClassSum.from_bytes(total, codec.dimension)
    return sums
