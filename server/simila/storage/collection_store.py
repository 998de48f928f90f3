"""The durable truth of one collection: one writer, any number of readers."""

import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Self, TypeVar

from simila.domain.errors import SimilaError
from simila.storage.backup import BackupContents, write_backup
from simila.storage.collection_file import CollectionSpec, check_pages, create_file, disk_bytes, open_file
from simila.storage.connections import ReadConnections
from simila.storage.disk_space import DiskSpace
from simila.storage.group_commit import GroupCommit, Outcome
from simila.storage.item_reader import ItemReader
from simila.storage.item_writes import Change, Operation, no_change

R = TypeVar("R")


class CollectionStore:
    """The items of one collection, in one SQLite file. Thread-safe.

    A write whose future is done is on disk (write-ahead log, `synchronous=FULL`), and `on_commit` has seen it. A
    replaced item gets a new sequence, and no sequence is ever given twice. Set `on_commit` before the first write: the
    writer's thread calls it with the changes of each transaction, in order; an error that it raises goes to the
    writers, although what they wrote is kept.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, spec: CollectionSpec) -> None:
        self.spec = spec
        self.on_commit: Callable[[Sequence[Change]], None] = lambda _: None
        self._path = path
        self._connection = connection
        self._refusal: SimilaError | None = None
        self._connections = ReadConnections(path, spec.name)
        self.reader = ItemReader(path, spec, self._connections)
        self._disk_space = DiskSpace(connection, path)
        self._writer = GroupCommit[Change](connection, spec.name, self._committed, self._disk_space)

    @classmethod
    def create(cls, path: Path, spec: CollectionSpec, *, after_sequence: int = 0) -> Self:
        """Make the file, readable by this user alone, and open it; its sequences begin after `after_sequence`.

        Raises:
            StorageFailed: the file exists or cannot be written.

        """
        return cls(path, create_file(path, spec, after_sequence=after_sequence), spec)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a file. Its header and schema are checked at once, its pages by `check_pages`, its rows when read.

        Raises:
            CollectionUnavailable: it is missing, damaged, no collection, or written by a newer Simila.

        """
        return cls(path, *open_file(path))

    def submit(self, operation: Operation[R]) -> Future[R]:
        """Check and encode a write here, and run it in the next transaction.

        Encoding takes some ten milliseconds for thousands of items, so an event loop leaves them to a thread.

        Raises:
            InvalidInput: or another error of the operation's, before anything is written.
            UnknownCollection: after `close`.

        """
        if self._refusal:
            raise self._refusal
        self._connections.check_open()
        prepared = operation.prepared(self.spec)

        def run(connection: sqlite3.Connection) -> Outcome[R, Change]:
            if self._refusal:
                raise self._refusal
            return prepared(connection)

        return self._writer.submit(run)

    def retire(self, refusal: SimilaError) -> Future[None]:
        """Let every write that comes after this one fail with `refusal`; when it is done, those before are done too."""

        def run(_: sqlite3.Connection) -> Outcome[None, Change]:
            self._refusal = refusal
            return Outcome(None, no_change(self.spec))

        return self._writer.submit(run)

    def resume(self) -> None:
        """Take writes again after `retire`."""
        self._refusal = None

    def erase_deleted(self) -> Future[bool]:
        """Write the file anew, so that nothing of what was deleted is on the disk; writes wait, reads do not.

        It takes as long as to read and write the file twice, and meanwhile twice its room more. The future is False
        where a reader with an old snapshot kept the log from being emptied: then it must be done again.

        Raises:
            StorageFailed: by the future, where the disk refuses.
            UnknownCollection: after `close`.

        """
        erased = self._disk_space.ask_erasure()
        self._writer.submit(lambda _: Outcome(None, no_change(self.spec)))
        return erased

    def check_pages(self) -> None:
        """Read every page of the file and how they hang together, then compare class sums and items.

        That takes seconds at a million items.

        Raises:
            CollectionUnavailable: naming the first finding.
            UnknownCollection: after `close`, or when `close` interrupts it.

        """
        with self._connections.lease() as connection:
            check_pages(self._path, connection)
        self.reader.check_class_sums()

    def backup_to(self, path: Path) -> BackupContents:
        """Write everything, as it is at this moment, to one compact file, while writes go on.

        Raises:
            StorageFailed: the file cannot be written.
            CollectionUnavailable: the collection cannot be read, or a row is not what was written.
            UnknownCollection: after `close`, or when `close` interrupts it.

        """
        with self._connections.lease() as connection:
            return write_backup(connection, path)

    def disk_bytes(self) -> int:
        """How much the file takes on disk, its log included."""
        return disk_bytes(self._path)

    def close(self, refusal: SimilaError | None = None) -> None:
        """Refuse new writes, finish those that wait, interrupt readers, and close.

        With a `refusal`, that is what everybody gets from now on, and those that wait get it too.
        """
        self._refusal = refusal or self._refusal
        self._writer.close()
        self._connections.close(refusal)
        # Last, because SQLite folds its log in with the last connection, if that may write.
        self._connection.close()

    def _committed(self, changes: Sequence[Change]) -> None:
        self.on_commit(changes)
