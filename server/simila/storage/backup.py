"""A collection in one file: made while writes go on, and checked before it is believed."""

import hashlib
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orjson

from simila.domain.errors import CollectionUnavailable, InvalidBackup, StorageFailed
from simila.domain.vectors import Float32
from simila.storage.class_sum_rows import SumsCheck, read_class_sums
from simila.storage.collection_file import CollectionSpec, check_pages, checked_spec
from simila.storage.connections import connect_reader, connect_writer, reading, unavailable
from simila.storage.durable_folders import sync_file, sync_folder
from simila.storage.item_rows import checksum, unpacked_rows

_CHUNK_ROWS = 8192
_TARGET_ERRORS = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)

_SCHEMA = "CREATE TABLE backup (items INTEGER NOT NULL, sha256 TEXT NOT NULL) STRICT"
_ITEMS = """
SELECT json_group_array(sequence), json_group_array(json_array(sequence, id, label, payload, checksum))
FROM (SELECT * FROM items WHERE sequence > ? ORDER BY sequence LIMIT ?)
"""
# A BLOB is text to group_concat, which copies its bytes as they are.
_VECTORS = """
SELECT json_group_array(sequence), CAST(group_concat(vector, '') AS BLOB), json_group_array(checksum)
FROM (SELECT * FROM vectors WHERE sequence > ? ORDER BY sequence LIMIT ?)
"""


class BackupContents(NamedTuple):
    """What a backup holds, all of it verified."""

    spec: CollectionSpec
    items: int
    sha256: str


def write_backup(connection: sqlite3.Connection, target: Path) -> BackupContents:
    """Write what `connection` reads at this moment to a new file, compact, with a digest of all of it.

    `VACUUM INTO` and not SQLite's backup API, which copies free pages too, and begins anew with each write of another
    connection. Writes go on; their log grows until this is done. A file at `target` is replaced once all is on disk.

    Raises:
        StorageFailed: the file cannot be written.
        CollectionUnavailable: a row is not what was written.
        sqlite3.Error: the collection cannot be read.

    """
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    with _writing(target, part):
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        connection.execute("VACUUM INTO ?", (str(part),))
        with closing(sqlite3.connect(part, isolation_level=None)) as copy:
            contents = _verified(part, copy, checked_spec(part, copy))
            copy.execute(_SCHEMA)
            copy.execute("INSERT INTO backup VALUES (?, ?)", (contents.items, contents.sha256))
        sync_file(part)
        part.replace(target)
        sync_folder(target.parent)
    return contents


def check_backup(path: Path) -> BackupContents:
    """Read all of a backup, and compare it with its checksums and its digest.

    Raises:
        CollectionUnavailable: naming what is wrong with it.

    """
    with reading(path), closing(connect_reader(path)) as connection:
        _check_passive(path, connection)
        spec = checked_spec(path, connection)
        check_pages(path, connection)
        recorded = connection.execute("SELECT items, sha256 FROM backup").fetchone()
        if recorded is None:
            raise unavailable(path, "its digest is missing")
        contents = _verified(path, connection, spec)
        if (contents.items, contents.sha256) != recorded:
            raise unavailable(path, "what it holds is not what was backed up: the digests differ")
        return contents


def restore_backup(backup: Path, path: Path, name: str) -> CollectionSpec:
    """Make the file of a collection out of a backup on the same disk, under a name and with a store id of its own.

    The backup is moved, not copied: it may be as large as what is left of the disk. It is gone afterwards, and on an
    error nothing is left at `path` either.

    Raises:
        InvalidBackup: naming what is wrong with the backup.
        StorageFailed: there is a file at `path`, or it cannot be written.

    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as error:
        raise StorageFailed(f"collection {name} cannot be restored: {error}") from error
    with _writing(path, path):
        backup.replace(path)
        path.chmod(0o600)
        contents = _checked_arrival(path)
        spec = replace(contents.spec, name=name, store_id=secrets.token_hex(16))
        with closing(connect_writer(path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE collection SET name = ?, store_id = ?", (spec.name, spec.store_id))
            connection.execute("DROP TABLE backup")
            connection.execute("COMMIT")
        sync_file(path)
    return spec


def _checked_arrival(path: Path) -> BackupContents:
    try:
        return check_backup(path)
    except CollectionUnavailable as error:
        raise InvalidBackup(f"the file cannot be restored: {error.cause}") from error


def _check_passive(path: Path, connection: sqlite3.Connection) -> None:
    """A stranger's triggers and views would run in this process."""
    (active,) = connection.execute("SELECT count(*) FROM sqlite_schema WHERE type NOT IN ('table', 'index')").fetchone()
    if active:
        raise unavailable(path, "it holds triggers or views, which no backup of Simila's does")


@contextmanager
def _writing(target: Path, part: Path) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) or _is_of_target(error):
            raise StorageFailed(f"{target.name} cannot be written: {error}") from error
        raise


def _is_of_target(error: BaseException) -> bool:
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _TARGET_ERRORS


def _verified(path: Path, connection: sqlite3.Connection, spec: CollectionSpec) -> BackupContents:
    digest = hashlib.sha256(orjson.dumps(spec))
    items = 0
    after = 0
    sums = SumsCheck(path)
    while True:
        sequences, rows = connection.execute(_ITEMS, (after, _CHUNK_ROWS)).fetchone()
        vector_sequences, blobs, checksums = connection.execute(_VECTORS, (after, _CHUNK_ROWS)).fetchone()
        if sequences != vector_sequences:
            raise unavailable(path, f"items and vectors do not match after sequence {after}")
        numbers = orjson.loads(sequences)
        if not numbers:
            break
        sums.add(*_checked_chunk(path, spec, rows, blobs, orjson.loads(checksums)))
        digest.update(rows.encode())
        digest.update(blobs)
        items += len(numbers)
        after = numbers[-1]
    sums.compare(dict(read_class_sums(connection, path, spec.codec)))
    for sequence, kind, content, expected in connection.execute("SELECT * FROM inputs ORDER BY sequence"):
        if checksum([kind.encode(), content]) != expected:
            raise unavailable(path, f"the source of sequence {sequence} fails its checksum")
        digest.update(f"{sequence} {kind} {len(content)} ".encode())
        digest.update(content)
    return BackupContents(spec, items, digest.hexdigest())


def _checked_chunk(
    path: Path, spec: CollectionSpec, rows: str, blobs: bytes, checksums: list[int]
) -> tuple[Float32, list[str | None]]:
    """The vectors and labels of a chunk whose every row is what was written."""
    try:
        labels = [row.label for row in unpacked_rows(rows)]
    except ValueError as error:
        raise unavailable(path, str(error)) from error
    if len(blobs) != len(checksums) * spec.codec.row_bytes:
        raise unavailable(path, f"it holds a vector that is not of {spec.dimension} dimensions")
    if spec.codec.checksums(blobs) != checksums:
        raise unavailable(path, "a vector fails its checksum")
    vectors = spec.codec.decoded(blobs)
    if not np.isfinite(vectors).all():
        raise unavailable(path, "it holds a vector that is not finite")
    return vectors, labels
