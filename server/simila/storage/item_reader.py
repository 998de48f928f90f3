"""Reads of a collection's file, beside its writer and beside each other."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import orjson

from simila.domain.class_sum import ClassSum
from simila.domain.results import Item, StoredItem
from simila.domain.vectors import Float32, Int64
from simila.storage.class_sum_rows import SumsCheck, check_equal, class_sums_of, read_class_sums
from simila.storage.collection_file import CollectionSpec
from simila.storage.connections import Leases, PinnedConnection
from simila.storage.item_rows import ItemChunk, ItemRow, Source, checksum, integers, unpacked_row, unpacked_rows
from simila.storage.where import Where

T = TypeVar("T")

_VECTORS_AT_ONCE = 8192
_EVERYTHING = Where("1")

_ROWS = "json_group_array(json_array(sequence, items.id, label, payload, checksum))"  # json_each has an id too
# A BLOB is text to group_concat, which copies its bytes as they are; hex() would take twice as long.
_BLOBS = "json_group_array(sequence), CAST(group_concat(vector, '') AS BLOB), json_group_array(checksum)"


@dataclass(frozen=True)
class StoredInput:
    """What the vector of an item was computed from."""

    sequence: int
    source: Source


class ItemReader:
    """Read items and vectors; thread-safe. A read sees all commits before it, and waits for none.

    Each is one SQLite statement that answers in one row, for the reason given in `item_rows`.

    Raises:
        CollectionUnavailable: by every method, when the file cannot be read or a row is not what was written.
        UnknownCollection: by every method, after the store was closed.

    """

    def __init__(self, path: Path, spec: CollectionSpec, connections: Leases) -> None:
        self._path = path
        self._spec = spec
        self._codec = spec.codec
        self._connections = connections

    @contextmanager
    def snapshot(self) -> Iterator["ItemReader"]:
        """A reader for one thread to which nothing changes, whatever is written meanwhile.

        The log cannot be folded into the file until the block ends, and `close` waits for its current read.
        """
        with self._connections.lease() as connection, PinnedConnection(connection, self._connections) as pinned:
            yield ItemReader(self._path, self._spec, pinned)

    def get(self, item_id: str) -> StoredItem | None:
        """Return an item with its vector; None if there is no such item."""
        query = """
            SELECT items.sequence, items.id, label, payload, items.checksum, vector, vectors.checksum
            FROM items JOIN vectors ON vectors.sequence = items.sequence WHERE items.id = CAST(? AS TEXT)
        """
        # Bytes, because half a surrogate pair may be asked for although none is stored.
        found = self._row(query, item_id.encode("utf-8", "surrogatepass"))
        if found is None:
            return None
        row = self._decoded(lambda: unpacked_row(*found[:5]))
        vector = self._vectors([row.sequence], found[5], [found[6]])[0]
        return StoredItem(row.sequence, Item(row.id, vector, row.label, row.payload))

    def by_sequence(self, sequences: Sequence[int] | Int64) -> dict[int, ItemRow]:
        """Return the items that have these sequences; those that are no more are left out."""
        query = f"SELECT {_ROWS} FROM json_each(?) AS row CROSS JOIN items ON items.sequence = row.value"  # noqa: S608
        return {row.sequence: row for row in self._rows(query, _json(sequences))}

    def page(self, after_sequence: int, limit: int, where: Where = _EVERYTHING) -> list[ItemRow]:
        """Return the next items that match, in the order of their sequences; 0 starts at the oldest."""
        matching = f"SELECT * FROM items WHERE items.sequence > ? AND {where.sql} ORDER BY items.sequence LIMIT ?"  # noqa: S608
        query = f"SELECT {_ROWS} FROM ({matching}) AS items"  # noqa: S608 - values are bound, here and above
        return self._rows(query, after_sequence, *where.parameters, limit)

    def vectors(self, sequences: Int64) -> tuple[Int64, Float32]:
        """Return those of `int64 [n]` that exist, as often as they are named, in the same order: `int64 [m]`.

        Their vectors are `float32 [m, d], unit length`.
        """
        query = f"SELECT {_BLOBS} FROM json_each(?) AS row CROSS JOIN vectors ON vectors.sequence = row.value"  # noqa: S608
        if sequences.size <= _VECTORS_AT_ONCE:
            return self._found_vectors(query, sequences)
        starts = range(0, sequences.size, _VECTORS_AT_ONCE)
        parts = [self._found_vectors(query, sequences[start : start + _VECTORS_AT_ONCE]) for start in starts]
        return np.concatenate([found for found, _ in parts]), np.concatenate([vectors for _, vectors in parts])

    def scan(self, after_sequence: int, chunk_rows: int) -> Iterator[ItemChunk]:
        """Read all items from a sequence on, in the order of sequences, at most `chunk_rows` at once.

        Each chunk is what there is when it is read, so what is written meanwhile comes too.
        """
        chunk = """
            SELECT vectors.sequence, vector, vectors.checksum, label
            FROM vectors CROSS JOIN items ON items.sequence = vectors.sequence
            WHERE vectors.sequence > ? ORDER BY vectors.sequence LIMIT ?
        """
        query = f"SELECT {_BLOBS}, json_group_array(label) FROM ({chunk})"  # noqa: S608 - constants
        while True:
            sequences, blobs, checksums, labels = self._one(query, after_sequence, chunk_rows)
            found: list[int] = orjson.loads(sequences)
            if not found:
                return
            vectors = self._vectors(found, blobs, orjson.loads(checksums))
            chunk_sequences = self._ascending(np.array(found, dtype=np.int64), after_sequence)
            yield ItemChunk(chunk_sequences, vectors, orjson.loads(labels))
            after_sequence = found[-1]

    def sequences(self) -> Int64:
        """The sequences of all items, `int64 [n]`, ascending."""
        return self.matching(_EVERYTHING)

    def matching(self, where: Where, limit: int | None = None) -> Int64:
        """The sequences of the items that match, `int64 [n]`, ascending; of more than `limit`, the oldest."""
        matching = f"SELECT items.sequence FROM items WHERE {where.sql} ORDER BY items.sequence LIMIT ?"  # noqa: S608
        query = f"SELECT group_concat(sequence) FROM ({matching})"  # noqa: S608 - values are bound, here and above
        return self._ascending(integers(self._one(query, *where.parameters, -1 if limit is None else limit)[0]), 0)

    def matching_among(self, sequences: Sequence[int] | Int64, where: Where) -> Int64:
        """Those of the given sequences whose items match, `int64 [n]`, in the order given."""
        query = f"""
            SELECT group_concat(items.sequence)
            FROM json_each(?) AS chosen CROSS JOIN items ON items.sequence = chosen.value WHERE {where.sql}
        """  # noqa: S608 - values are bound
        return integers(self._one(query, _json(sequences), *where.parameters)[0])

    def count(self, where: Where | None = None) -> int:
        """How many items there are, or how many match."""
        condition = "" if where is None else f"WHERE {where.sql}"
        query = f"SELECT count(*) FROM items {condition}"  # noqa: S608 - values are bound
        return int(self._one(query, *(where.parameters if where else ()))[0])

    def label_counts(self, where: Where | None = None) -> Mapping[str, int]:
        """How many items have each label, of all or of those that match."""
        condition = "" if where is None else f"AND ({where.sql})"
        counted = f"SELECT label, count(*) AS number FROM items WHERE label IS NOT NULL {condition} GROUP BY label"  # noqa: S608 - values are bound, here and below
        query = f"SELECT json_group_array(json_array(label, number)) FROM ({counted})"  # noqa: S608
        return dict(orjson.loads(self._one(query, *(where.parameters if where else ()))[0]))

    def class_sums(self) -> dict[str, ClassSum]:
        """The sum of the vectors of each label that items have, by label in order."""
        with self._connections.lease() as connection:
            return dict(read_class_sums(connection, self._path, self._codec))

    def class_sums_among(self, sequences: Int64) -> dict[str, ClassSum]:
        """The sum of each label's vectors among the items that have these sequences, made afresh."""
        with self._connections.lease() as connection:
            return class_sums_of(connection, self._codec, sequences)

    def check_class_sums(self) -> None:
        """Make the sums of all classes afresh, and compare them bit by bit.

        Raises:
            CollectionUnavailable: naming a class whose sum is not that of its items.

        """
        with self.snapshot() as reader:
            check = SumsCheck(self._path)
            for chunk in reader.scan(0, _VECTORS_AT_ONCE):
                check.add(chunk.vectors, chunk.labels)
            check.compare(reader.class_sums())

    def check_classes(self, labels: Collection[str]) -> None:
        """Like `check_class_sums`, for these labels alone; of a label that no item has, there must be no sum."""
        with self.snapshot() as reader:
            of_labels = Where("items.label IN (SELECT value FROM json_each(?))", (json.dumps(sorted(labels)),))
            kept = {label: total for label, total in reader.class_sums().items() if label in labels}
            check_equal(self._path, reader.class_sums_among(reader.matching(of_labels)), kept)

    def last_sequence(self) -> int:
        """The newest sequence ever given; 0 before the first write."""
        row = self._row("SELECT seq FROM sqlite_sequence WHERE name = 'items'")
        return int(row[0]) if row else 0

    def payload_indexes(self) -> list[str]:
        """The payload keys that were declared as indexed, sorted."""
        keys: list[str] = orjson.loads(self._one("SELECT json_group_array(key) FROM payload_indexes")[0])
        return sorted(keys)

    def inputs(self, after_sequence: int, limit: int) -> list[StoredInput]:
        """Return the next sources that were kept, in the order of their sequences; 0 starts at the oldest."""
        query = "SELECT sequence, kind, content, checksum FROM inputs WHERE sequence > ? ORDER BY sequence LIMIT ?"
        with self._connections.lease() as connection:
            rows = connection.execute(query, (after_sequence, limit)).fetchall()
        for sequence, kind, content, expected in rows:
            if checksum([kind.encode(), content]) != expected:
                raise self._connections.damaged(f"the source of sequence {sequence} fails its checksum")
        return [StoredInput(sequence, Source(kind, content)) for sequence, kind, content, _ in rows]

    def input_of(self, item_id: str) -> Source | None:
        """What was kept of the source of an item; None if nothing was, or there is no such item."""
        query = """
            SELECT kind, content, inputs.checksum FROM items JOIN inputs ON inputs.sequence = items.sequence
            WHERE items.id = CAST(? AS TEXT)
        """
        found = self._row(query, item_id.encode("utf-8", "surrogatepass"))
        if found is None:
            return None
        kind, content, expected = found
        if checksum([kind.encode(), content]) != expected:
            raise self._connections.damaged(f"the source of the item {item_id!r} fails its checksum")
        return Source(kind, content)

    def without_input(self) -> int:
        """How many items have no source that was kept."""
        return int(self._one("SELECT (SELECT count(*) FROM items) - (SELECT count(*) FROM inputs)")[0])

    def _found_vectors(self, query: str, sequences: Int64) -> tuple[Int64, Float32]:
        found_json, blobs, checksums = self._one(query, _json(sequences))
        found: list[int] = orjson.loads(found_json)
        return np.array(found, dtype=np.int64), self._vectors(found, blobs, orjson.loads(checksums))

    def _ascending(self, sequences: Int64, after: int) -> Int64:
        """SQLite takes the rows of a table to be in order, as it put them; damaged ones are not."""
        if (np.diff(sequences, prepend=after) <= 0).any():
            raise self._connections.damaged("its rows are not in order")
        return sequences

    def _vectors(self, sequences: Sequence[int], content: bytes | None, checksums: Sequence[int]) -> Float32:
        content = content or b""
        if len(content) != len(sequences) * self._codec.row_bytes:
            raise self._connections.damaged(f"it holds a vector that is not of {self._codec.dimension} dimensions")
        computed = self._codec.checksums(content)
        if computed != checksums:
            damaged = next(s for s, a, b in zip(sequences, computed, checksums, strict=True) if a != b)
            raise self._connections.damaged(f"the vector of sequence {damaged} fails its checksum")
        return self._codec.decoded(content)

    def _rows(self, query: str, *values: str | float | None) -> list[ItemRow]:
        text = self._one(query, *values)[0]
        return self._decoded(lambda: unpacked_rows(text))

    def _one(self, query: str, *values: str | float | None) -> tuple[Any, ...]:
        row = self._row(query, *values)
        assert row is not None, "an aggregate has a row"
        return row

    def _row(self, query: str, *values: bytes | str | float | None) -> tuple[Any, ...] | None:
        with self._connections.lease() as connection:
            row: tuple[Any, ...] | None = connection.execute(query, values).fetchone()
            return row

    def _decoded(self, decode: Callable[[], T]) -> T:
        try:
            return decode()
        except ValueError as error:
            raise self._connections.damaged(str(error)) from error


def _json(sequences: Sequence[int] | Int64) -> str:
    return orjson.dumps(np.ascontiguousarray(sequences, np.int64), option=orjson.OPT_SERIALIZE_NUMPY).decode()
