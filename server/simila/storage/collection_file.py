"""The SQLite file of a collection: its tables, what it says of itself, and whether it can be trusted."""

import os
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self, get_args

from simila.domain.errors import CollectionUnavailable, StorageFailed
from simila.storage.connections import connect_writer, place, reading, unavailable
from simila.storage.vector_codec import VectorCodec
from simila.storage.write_ahead_log import check_log

SCHEMA_VERSION = 3
VectorType = Literal["float32", "float16"]

# `items` is apart from `vectors`, so that a filter that reads every item reads no vector.
_SCHEMA = f"""
BEGIN;
CREATE TABLE collection (
    name TEXT NOT NULL,
    store_id TEXT NOT NULL,
    encoder TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    dimension INTEGER NOT NULL,
    vector_dtype TEXT NOT NULL CHECK (vector_dtype IN ('float32', 'float16')),
    store_inputs INTEGER NOT NULL CHECK (store_inputs IN (0, 1)),
    recall_target REAL NOT NULL,
    created_at TEXT NOT NULL
) STRICT;
CREATE TABLE items (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    label TEXT,
    payload TEXT,             -- JSON
    checksum INTEGER NOT NULL -- CRC-32, here and below: SQLite does not see a bit that flips within a value
) STRICT;
CREATE INDEX items_label ON items (label) WHERE label IS NOT NULL;
CREATE TABLE vectors (
    sequence INTEGER PRIMARY KEY,
    vector BLOB NOT NULL,     -- little-endian, of collection.vector_dtype
    checksum INTEGER NOT NULL
) STRICT;
CREATE TABLE inputs (
    sequence INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('text', 'image')),
    content BLOB NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;
CREATE TABLE class_sums (
    label TEXT PRIMARY KEY,
    total BLOB NOT NULL,      -- ClassSum.to_bytes
    checksum INTEGER NOT NULL
) STRICT;
CREATE TABLE payload_indexes (key TEXT PRIMARY KEY) STRICT;
CREATE TABLE upkeep (removed_when_swept INTEGER NOT NULL) STRICT;
INSERT INTO upkeep VALUES (0);
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""  # noqa: S608 - a constant
_TABLES = {
    "items": "sequence, id, label, payload, checksum",
    "vectors": "sequence, vector, checksum",
    "inputs": "sequence, kind, content, checksum",
    "class_sums": "label, total, checksum",
    "payload_indexes": "key",
    "upkeep": "removed_when_swept",
}
_PAGE_BYTES = (8192, 16384, 32768, 65536)
_PAGE_OVERHEAD_BYTES = 8
_ROW_OVERHEAD_BYTES = 16
_FULL_ENOUGH = 0.85


@dataclass(frozen=True)
class CollectionSpec:
    """What a collection is. `store_id` is random and of this file alone; `created_at` is ISO 8601, UTC."""

    name: str
    store_id: str
    encoder: str
    fingerprint: str
    dimension: int
    vector_dtype: VectorType
    store_inputs: bool
    recall_target: float
    created_at: str

    @classmethod
    def new(
        cls,
        name: str,
        *,
        encoder: str,
        fingerprint: str,
        dimension: int,
        vector_dtype: VectorType = "float32",
        store_inputs: bool = False,
        recall_target: float = 0.95,
    ) -> Self:
        """The spec of a collection that begins now."""
        created_at = datetime.now(UTC).isoformat(timespec="seconds")
        store_id = secrets.token_hex(16)
        return cls(
            name, store_id, encoder, fingerprint, dimension, vector_dtype, store_inputs, recall_target, created_at
        )

    @property
    def codec(self) -> VectorCodec:
        """How the vectors of this collection lie in a BLOB."""
        return VectorCodec(self.dimension, self.vector_dtype)


def create_file(path: Path, spec: CollectionSpec, *, after_sequence: int = 0) -> sqlite3.Connection:
    """Make the file, readable by this user alone, and return the connection that writes it.

    The first item gets the sequence after `after_sequence`.

    Raises:
        StorageFailed: the file exists or cannot be written.

    """
    try:
        # SQLite gives its log and shared-memory files the mode of the file that it finds.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        connection = connect_writer(path, page_bytes=_page_bytes(spec.codec.row_bytes))
        try:
            connection.executescript(_SCHEMA)
            marks = ", ".join("?" * len(fields(spec)))
            connection.execute(f"INSERT INTO collection VALUES ({marks})", astuple(spec))  # noqa: S608 - marks alone
            connection.execute("INSERT INTO sqlite_sequence VALUES ('items', ?)", (after_sequence,))
        except BaseException:
            connection.close()
            raise
    except (OSError, sqlite3.Error) as error:
        raise StorageFailed(f"collection {spec.name} cannot be created: {error}") from error
    return connection


def open_file(path: Path) -> tuple[sqlite3.Connection, CollectionSpec]:
    """Return the connection that writes the file, and what the file says of itself.

    The header, the schema and the log are checked, the pages are not: `check_pages` reads them all.

    Raises:
        CollectionUnavailable: it is missing, damaged, no collection, or written by a newer Simila.

    """
    check_log(path)  # before SQLite opens it: its last connection to close deletes the log, damaged or not
    with reading(path):
        connection = connect_writer(path)
        try:
            return connection, checked_spec(path, connection)
        except BaseException:
            connection.close()
            raise


def checked_spec(path: Path, connection: sqlite3.Connection) -> CollectionSpec:
    """Read what a collection is, from a file that has every table of this schema.

    Raises:
        CollectionUnavailable: the schema is a newer one, or none of Simila's.
        sqlite3.Error: the file cannot be read, or lacks a table.

    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        newer = f"it was written by a newer Simila (schema {version}, this one reads {SCHEMA_VERSION})"
        raise CollectionUnavailable(f"{place(path)}: {newer}; install that version or a later one")
    if version < SCHEMA_VERSION:
        raise unavailable(path, "it is not a collection of this version of Simila")
    for table, columns in _TABLES.items():
        connection.execute(f"SELECT {columns} FROM {table} LIMIT 1").fetchall()  # noqa: S608 - constants above
    names = ", ".join(field.name for field in fields(CollectionSpec))
    row = connection.execute(f"SELECT {names} FROM collection").fetchone()  # noqa: S608 - a constant above
    if row is None:
        raise unavailable(path, "it does not say which encoder its vectors are of")
    values = dict(zip(names.split(", "), row, strict=True))
    if not _is_sound(values):
        raise unavailable(path, "what it says of itself makes no sense")
    return CollectionSpec(**values | {"store_inputs": bool(values["store_inputs"])})


def _is_sound(values: Mapping[str, Any]) -> bool:
    """Whether the row is one that Simila wrote: a flipped bit in the schema takes the table's own checks away."""
    types = {"dimension": int, "store_inputs": int, "recall_target": float}
    typed = all(isinstance(value, types.get(name, str)) for name, value in values.items())
    return typed and values["dimension"] > 0 and values["vector_dtype"] in get_args(VectorType)


def check_pages(path: Path, connection: sqlite3.Connection) -> None:
    """Read every page of the file, and check how they hang together, indexes and tables too.

    Raises:
        CollectionUnavailable: naming the first finding.

    """
    (finding,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if finding != "ok":
        raise unavailable(path, " ".join(finding.split()))


def disk_bytes(path: Path) -> int:
    """How much the database takes on disk, its log included."""
    files = (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm"))
    return sum(file.stat().st_size for file in files if file.exists())


def _page_bytes(vector_bytes: int) -> int:
    """The smallest page that whole vectors fill well: of 1,024 float32, 16 KiB would stay a quarter empty."""
    row_bytes = vector_bytes + _ROW_OVERHEAD_BYTES
    for page_bytes in _PAGE_BYTES:
        rows = (page_bytes - _PAGE_OVERHEAD_BYTES) // row_bytes
        if rows * row_bytes >= _FULL_ENOUGH * page_bytes:
            return page_bytes
    return _PAGE_BYTES[-1]
