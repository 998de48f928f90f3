"""The durable truth of one collection: a SQLite file of items."""

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from simila.domain.errors import CollectionUnavailable, DuplicateId, InvalidInput, StorageFailed
from simila.domain.results import Item, Payload, StoredItem
from simila.domain.vectors import Float32, Int64

SCHEMA_VERSION = 1

_SCHEMA = f"""
BEGIN;
CREATE TABLE collection (
    name TEXT NOT NULL,
    encoder TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    dimension INTEGER NOT NULL,
    created_at TEXT NOT NULL
) STRICT;
CREATE TABLE items (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    vector BLOB NOT NULL,  -- little-endian float32
    label TEXT,
    payload TEXT           -- JSON
) STRICT;
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""

_VECTOR = np.dtype("<f4")
_REMEDY = "restore it from a backup, or delete the collection"


@dataclass(frozen=True)
class CollectionSpec:
    """What a collection holds the vectors of. `created_at` is ISO 8601, UTC."""

    name: str
    encoder: str
    fingerprint: str
    dimension: int
    created_at: str


@dataclass(frozen=True)
class Written:
    """What an upsert did: the new sequences in the order of the items, and the sequences that are no more."""

    sequences: Int64  # [n]
    replaced: Int64  # [m]


@dataclass(frozen=True)
class ItemChunk:
    """What an index needs of consecutive items."""

    sequences: Int64  # [n]
    vectors: Float32  # [n, d]
    labels: Sequence[str | None]


class ItemStore:
    """The items of one collection, in one SQLite file.

    A write that returned is on disk (write-ahead log, `synchronous=FULL`). A replaced item gets a new sequence, and no
    sequence is ever given twice. Not thread-safe: the caller holds a lock.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, spec: CollectionSpec) -> None:
        self.spec = spec
        self._path = path
        self._connection = connection

    @classmethod
    def create(cls, path: Path, spec: CollectionSpec) -> Self:
        """Make the file, readable by this user alone, and open it.

        Raises:
            StorageFailed: the file exists or cannot be written.

        """
        try:
            # SQLite gives its log and shared-memory files the mode of the file that it finds.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            connection = _connect(path)
            try:
                connection.executescript(_SCHEMA)
                connection.execute("INSERT INTO collection VALUES (?, ?, ?, ?, ?)", astuple(spec))
            except BaseException:
                connection.close()
                raise
        except (OSError, sqlite3.Error) as error:
            raise StorageFailed(f"collection {spec.name} cannot be created: {error}") from error
        return cls(path, connection, spec)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a file and check that its pages are sound.

        Raises:
            CollectionUnavailable: it is missing, damaged, no collection, or written by a newer Simila.

        """
        with _reading(path):
            connection = _connect(path)
            try:
                return cls(path, connection, _checked_spec(path, connection))
            except BaseException:
                connection.close()
                raise

    def close(self) -> None:
        self._connection.close()

    @property
    def last_sequence(self) -> int:
        """The newest sequence ever given; 0 before the first write.

        Raises:
            CollectionUnavailable: the file cannot be read.

        """
        with _reading(self._path):
            return self._last_sequence()

    def upsert(self, items: Sequence[Item]) -> Written:
        """Write all items or, when it raises, none.

        Raises:
            DuplicateId: two items have the same id.
            InvalidInput: a payload is not JSON.
            StorageFailed: SQLite cannot write, for instance on a full disk.

        """
        if len({item.id for item in items}) < len(items):
            raise DuplicateId("two items of one upsert have the same id")
        rows = [_row(item) for item in items]
        with self._writing():
            replaced = [sequence for item in items for sequence in self._delete(item.id)]
            first = self._last_sequence() + 1
            self._connection.executemany(
                "INSERT INTO items (sequence, id, vector, label, payload) VALUES (?, ?, ?, ?, ?)",
                ((sequence, *row) for sequence, row in enumerate(rows, first)),
            )
        return Written(np.arange(first, first + len(rows), dtype=np.int64), np.array(replaced, dtype=np.int64))

    def delete(self, item_id: str) -> int | None:
        """Delete an item and return its sequence; None if there is no such item.

        Raises:
            StorageFailed: SQLite cannot write.

        """
        with self._writing():
            sequences = self._delete(item_id)
        return sequences[0] if sequences else None

    def get(self, item_id: str) -> StoredItem | None:
        """Return an item; None if there is no such item.

        Raises:
            CollectionUnavailable: the file cannot be read.

        """
        found = self._select("WHERE id = ?", item_id)
        return found[0] if found else None

    def fetch(self, sequences: Sequence[int]) -> dict[int, StoredItem]:
        """Return the items that have these sequences, by sequence; those that are no more are left out.

        Raises:
            CollectionUnavailable: the file cannot be read.

        """
        found = self._select("WHERE sequence IN (SELECT value FROM json_each(?))", json.dumps(list(sequences)))
        return {stored.sequence: stored for stored in found}

    def page(self, after_sequence: int, limit: int) -> list[StoredItem]:
        """Return the next items in the order of their sequences; 0 starts at the oldest.

        Raises:
            CollectionUnavailable: the file cannot be read.

        """
        return self._select("WHERE sequence > ? ORDER BY sequence LIMIT ?", after_sequence, limit)

    def scan(self, chunk_rows: int) -> Iterator[ItemChunk]:
        """Read all vectors and labels in the order of their sequences, at most `chunk_rows` at once.

        Raises:
            CollectionUnavailable: the file cannot be read, or holds a vector that is none.

        """
        query = "SELECT sequence, vector, label FROM items WHERE sequence > ? ORDER BY sequence LIMIT ?"
        last = 0
        while True:
            with _reading(self._path):
                rows = self._connection.execute(query, (last, chunk_rows)).fetchall()
            if not rows:
                return
            sequences, blobs, labels = zip(*rows, strict=True)
            yield ItemChunk(np.array(sequences, dtype=np.int64), self._vectors(blobs), labels)
            last = sequences[-1]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            # Leaving this block commits; an exception, that of a failed commit too, rolls back.
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                yield
        except sqlite3.Error as error:
            raise StorageFailed(f"collection {self.spec.name}: nothing was written: {error}") from error

    def _delete(self, item_id: str) -> list[int]:
        rows = self._connection.execute("DELETE FROM items WHERE id = ? RETURNING sequence", (item_id,)).fetchall()
        return [sequence for (sequence,) in rows]

    def _last_sequence(self) -> int:
        row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'items'").fetchone()
        return int(row[0]) if row else 0

    def _select(self, clause: str, *values: str | int) -> list[StoredItem]:
        with _reading(self._path):
            query = f"SELECT sequence, id, vector, label, payload FROM items {clause}"  # noqa: S608 - a constant above
            rows = self._connection.execute(query, values).fetchall()
        return [self._stored(row) for row in rows]

    def _stored(self, row: tuple[Any, ...]) -> StoredItem:
        sequence, item_id, blob, label, payload = row
        try:
            decoded: Mapping[str, Any] | None = None if payload is None else json.loads(payload)
        except ValueError as error:
            raise _unavailable(self._path, f"the payload of item '{item_id}' is not JSON") from error
        return StoredItem(sequence, Item(item_id, self._vectors([blob])[0], label, decoded))

    def _vectors(self, blobs: Sequence[bytes]) -> Float32:
        expected_bytes = self.spec.dimension * _VECTOR.itemsize
        if any(len(blob) != expected_bytes for blob in blobs):
            raise _unavailable(self._path, f"it holds a vector that is not of {self.spec.dimension} dimensions")
        vectors: Float32 = np.frombuffer(b"".join(blobs), dtype=_VECTOR).reshape(len(blobs), self.spec.dimension)
        if not np.isfinite(vectors).all():
            raise _unavailable(self._path, "it holds a vector that is not finite")
        return vectors


def _connect(path: Path) -> sqlite3.Connection:
    # `mode=rw`: SQLite would make an empty database of a missing file. No isolation level: transactions are spelt out.
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")  # macOS: its plain fsync leaves data in the drive's cache
    except BaseException:
        connection.close()
        raise
    return connection


def _checked_spec(path: Path, connection: sqlite3.Connection) -> CollectionSpec:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        message = f"it was written by a newer Simila (schema {version}, this one reads {SCHEMA_VERSION})"
        raise CollectionUnavailable(f"{_place(path)}: {message}; install that version or a later one")
    if version < SCHEMA_VERSION:
        raise _unavailable(path, "it is not a collection of Simila")
    (finding,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if finding != "ok":
        raise _unavailable(path, " ".join(finding.split()))
    connection.execute("SELECT sequence, id, vector, label, payload FROM items LIMIT 0")
    spec = connection.execute("SELECT name, encoder, fingerprint, dimension, created_at FROM collection").fetchone()
    if spec is None:
        raise _unavailable(path, "it does not say which encoder its vectors are of")
    return CollectionSpec(*spec)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _unavailable(path, str(error)) from error


def _unavailable(path: Path, cause: str) -> CollectionUnavailable:
    return CollectionUnavailable(f"{_place(path)} cannot be read: {cause}; {_REMEDY}")


def _place(path: Path) -> str:
    # Callers of the API read this too, and need not learn where the data folder lies.
    return f"{path.parent.name}/{path.name}"


def _row(item: Item) -> tuple[str, bytes, str | None, str | None]:
    vector = np.ascontiguousarray(item.vector, dtype=_VECTOR).tobytes()
    return item.id, vector, item.label, None if item.payload is None else _payload_json(item.id, item.payload)


def _payload_json(item_id: str, payload: Payload) -> str:
    try:
        return json.dumps(dict(payload), allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"the payload of item '{item_id}' is not JSON: {error}", param="payload") from error
