"""Connections to a collection's file: one that writes, and a pool of those that read."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol, Self

from simila.domain.errors import CollectionUnavailable, SimilaError, UnknownCollection

_REMEDY = "restore it from a backup, or delete the collection"
_MOST_IDLE_READERS = 8
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_MMAP_BYTES = 2**40  # SQLite takes as much of it as it was built for
_WRITER_CACHE_KIB = 65_536


def connect_writer(path: Path, *, page_bytes: int | None = None) -> sqlite3.Connection:
    """Open a file that exists, to write it; `page_bytes` counts in an empty file alone.

    Raises:
        sqlite3.Error: it is missing, no database, or cannot be written.

    """
    # `mode=rw`: SQLite would make an empty database of a missing file. No isolation level: transactions are spelt out.
    connection = _connect(path, "rw")
    try:
        if page_bytes is not None:
            connection.execute(f"PRAGMA page_size = {page_bytes}")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten, not only let go
        connection.execute("PRAGMA fullfsync = ON")  # macOS: its plain fsync leaves data in the drive's cache
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # DiskSpace does it, after callers have their answers
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
    except BaseException:
        connection.close()
        raise
    return connection


class Leases(Protocol):
    """What gives connections to read with."""

    def lease(self) -> AbstractContextManager[sqlite3.Connection]: ...

    def check_open(self) -> None:
        """Raise `UnknownCollection` after `close`, and `CollectionUnavailable` once damage was found."""
        ...

    def damaged(self, cause: str) -> CollectionUnavailable:
        """The error of what is not as it was written; from now on everybody gets it."""
        ...


class ReadConnections:
    """Read-only connections, as many as there are readers at once.

    Raises:
        CollectionUnavailable: by what runs within a lease, when the file cannot be read.
        UnknownCollection: after `close`, which interrupts what is being read.

    """

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._condition = threading.Condition()
        self._idle: list[sqlite3.Connection] = []
        self._leased: set[sqlite3.Connection] = set()
        self._refusal: SimilaError | None = None

    @contextmanager
    def lease(self) -> Iterator[sqlite3.Connection]:
        with reading(self._path):
            connection = self._take()
        try:
            yield connection
        except sqlite3.Error as error:
            if self._refusal is None and getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE:
                raise self.damaged(str(error)) from error
            raise (self._refusal or unavailable(self._path, str(error))) from error
        finally:
            self._give_back(connection)

    def check_open(self) -> None:
        if self._refusal:
            raise self._refusal

    def close(self, refusal: SimilaError | None = None) -> None:
        """Interrupt all readers, wait until they have left, and close; later ones get `refusal`."""
        with self._condition:
            self._refusal = refusal or closed(self._name)
            for connection in self._leased:
                connection.interrupt()
            self._condition.wait_for(lambda: not self._leased)
            for connection in self._idle:
                connection.close()
            self._idle.clear()

    def damaged(self, cause: str) -> CollectionUnavailable:
        """The error of what is not as it was written. From now on everybody gets it: filters read rows unchecked."""
        error = unavailable(self._path, cause)
        with self._condition:
            self._refusal = self._refusal or error
        return error

    def _take(self) -> sqlite3.Connection:
        with self._condition:
            if self._refusal:
                raise self._refusal
            connection = self._idle.pop() if self._idle else connect_reader(self._path)
            self._leased.add(connection)
            return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._condition:
            self._leased.remove(connection)
            if len(self._idle) < _MOST_IDLE_READERS:
                self._idle.append(connection)
            else:
                connection.close()
            self._condition.notify_all()


class PinnedConnection:
    """One leased connection in one transaction: every read within the block sees what the first one saw."""

    def __init__(self, connection: sqlite3.Connection, origin: Leases) -> None:
        self._connection = connection
        self._origin = origin

    def __enter__(self) -> Self:
        self._connection.execute("BEGIN")
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    @contextmanager
    def lease(self) -> Iterator[sqlite3.Connection]:
        self.check_open()
        yield self._connection

    def check_open(self) -> None:
        self._origin.check_open()

    def damaged(self, cause: str) -> CollectionUnavailable:
        return self._origin.damaged(cause)


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open a file to read it.

    Raises:
        sqlite3.Error: it is missing, or cannot be opened.

    """
    connection = _connect(path, "ro")
    connection.execute("PRAGMA temp_store = MEMORY")
    # Vectors lie all over the file: copying a page for each of a hundred takes as long again as finding them.
    connection.execute(f"PRAGMA mmap_size = {_MMAP_BYTES}")
    return connection


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what SQLite says of a file that it cannot read into `CollectionUnavailable`."""
    try:
        yield
    except sqlite3.Error as error:
        raise unavailable(path, str(error)) from error


def unavailable(path: Path, cause: str) -> CollectionUnavailable:
    """The error of a file that cannot be trusted. Callers of the API read it: it tells no path of this machine."""
    return CollectionUnavailable(f"{place(path)} cannot be read: {cause}; {_REMEDY}", cause=cause)


def path_of(connection: sqlite3.Connection) -> Path:
    """The file that a connection is to."""
    return Path(connection.execute("PRAGMA database_list").fetchone()[2])


def place(path: Path) -> str:
    """A file as messages name it: callers of the API read them, and need not learn where the data folder lies."""
    return "/".join(path.parts[-3:])


def closed(name: str) -> UnknownCollection:
    """The error of a collection that was closed."""
    return UnknownCollection(f"collection {name} is closed: it was deleted, or the server is stopping", param="name")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
