"""One writer for a file: what waits shares one transaction, so one wait for the disk."""

import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from simila.domain.errors import StorageFailed
from simila.storage.connections import closed

logger = logging.getLogger("simila.storage")
_MOST_OPERATIONS = 64
_LINGER_SECONDS = 0.5

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
C = TypeVar("C")
C_co = TypeVar("C_co", covariant=True)


@dataclass(frozen=True)
class Outcome(Generic[R_co, C_co]):
    """What an operation did: the answer to its caller, and the change to what is derived from the file."""

    result: R_co
    change: C_co


_Run = Callable[[sqlite3.Connection], Outcome[Any, C]]
_Waiting = tuple[_Run[C], Future[Any]]


class Upkeep(Protocol):
    """What the writer does between commits."""

    def after_commit(self) -> None: ...

    def idle_step(self) -> bool:
        """Do a bounded piece of work; False if there is none."""
        ...


class GroupCommit(Generic[C]):
    """Run operations in the order in which they came, those that wait together in one transaction.

    Each has a savepoint of its own: one that raises is undone and fails alone. A commit that fails undoes all and fails
    all with `StorageFailed`; the writer lives on. `on_commit` gets the changes of a transaction, in order, in the
    writer's thread, after they are durable and before a caller has its answer; if it raises, the callers get that error
    although their writes are kept. The thread starts with the first operation and ends when there is nothing to do.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        name: str,
        on_commit: Callable[[Sequence[C]], None],
        upkeep: Upkeep,
    ) -> None:
        self._connection = connection
        self._name = name
        self._on_commit = on_commit
        self._upkeep = upkeep
        self._condition = threading.Condition()
        self._waiting: deque[_Waiting[C]] = deque()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, operation: Callable[[sqlite3.Connection], Outcome[R, C]]) -> Future[R]:
        """Run an operation in the next transaction; the future has its result when that is durable.

        A future that is cancelled before its transaction begins is not run.

        Raises:
            UnknownCollection: after `close`.

        """
        future: Future[R] = Future()
        with self._condition:
            if self._closed:
                raise closed(self._name)
            self._waiting.append((operation, future))
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name=f"write {self._name}", daemon=True)
                self._thread.start()
            self._condition.notify()
        return future

    def close(self) -> None:
        """Refuse new operations, and finish those that wait; the connection stays open."""
        with self._condition:
            self._closed = True
            thread = self._thread
            self._condition.notify()
        if thread is not None:
            thread.join()

    def _serve(self) -> None:
        patience_seconds = _LINGER_SECONDS
        while True:
            group = self._next_group(patience_seconds)
            patience_seconds = _LINGER_SECONDS
            if group:
                self._commit(group)
                self._attend(self._upkeep.after_commit)
            elif not self._closed and self._attend(self._upkeep.idle_step):
                patience_seconds = 0
            elif self._retired():
                return

    def _retired(self) -> bool:
        with self._condition:
            if not self._waiting:
                self._thread = None
            return self._thread is None

    def _next_group(self, patience_seconds: float) -> list[_Waiting[C]]:
        with self._condition:
            self._condition.wait_for(lambda: self._waiting or self._closed, patience_seconds)
            taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_OPERATIONS))]
        return [(operation, future) for operation, future in taken if future.set_running_or_notify_cancel()]

    def _commit(self, group: Sequence[_Waiting[C]]) -> None:
        try:
            done = self._transaction(group)
        except Exception as error:  # noqa: BLE001 - it is handed to all who wait
            self._undo()
            _fail([future for _, future in group if not future.done()], self._storage_failed(error))
            return
        try:
            if done:
                self._on_commit([outcome.change for _, outcome in done])
        except Exception as error:
            logger.exception("collection %s: what was written could not be taken over", self._name)
            _fail([future for future, _ in done], error)
            return
        for future, outcome in done:
            future.set_result(outcome.result)

    def _transaction(self, group: Sequence[_Waiting[C]]) -> list[tuple[Future[Any], Outcome[Any, C]]]:
        done = []
        self._connection.execute("BEGIN IMMEDIATE")
        for operation, future in group:
            self._connection.execute("SAVEPOINT operation")
            try:
                outcome = operation(self._connection)
            except Exception as error:
                if not self._connection.in_transaction:  # SQLite has undone everything, as it may on a full disk
                    raise
                self._connection.execute("ROLLBACK TO operation")
                future.set_exception(self._storage_failed(error) if isinstance(error, sqlite3.Error) else error)
            else:
                done.append((future, outcome))
            self._connection.execute("RELEASE operation")
        self._connection.execute("COMMIT")
        return done

    def _undo(self) -> None:
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error:
                logger.exception("collection %s: a failed commit could not be rolled back", self._name)

    def _storage_failed(self, error: Exception) -> StorageFailed:
        failed = StorageFailed(f"collection {self._name}: nothing was written: {error}")
        failed.__cause__ = error
        return failed

    def _attend(self, upkeep: Callable[[], bool | None]) -> bool:
        try:
            return bool(upkeep())
        except Exception:  # whatever it is, the next writes are not to wait for ever
            # Upkeep is put off, not owed: what is written is safe, and the next commit tries again.
            logger.warning("collection %s: its file could not be tidied", self._name, exc_info=True)
            self._undo()
            return False


def _fail(futures: Sequence[Future[Any]], error: Exception) -> None:
    for future in futures:
        future.set_exception(error)
