"""The size of a collection's file follows what it holds: its log is folded in, its empty and half-empty pages go."""

import sqlite3
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

from simila.domain.errors import StorageFailed

_SMALLEST_WAL_BYTES = 4 * 2**20
_LARGEST_WAL_BYTES = 64 * 2**20
_WAL_FRACTION = 0.25
_FREE_FRACTION = 0.1
_VACUUM_STEP_PAGES = 512
_SWEEP_STEP_ROWS = 2000
_PATIENCE_MILLISECONDS = 5000
_SWEPT = {
    "vectors": "sequence, vector, checksum",
    "items": "sequence, id, label, payload, checksum",
    "inputs": "sequence, kind, content, checksum",
}


class DiskSpace:
    """Keep a file small, in steps of some ten milliseconds between the commits of its one writer.

    Deletes leave pages half empty: with two rows in three gone, the file is twice what it holds. When a quarter of the
    rows were removed since the last time, a *sweep* writes every row again, in windows of consecutive ones, which packs
    them; pages that are left over are given back to the disk.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._wal = path.with_name(f"{path.name}-wal")
        self._sweep: list[str] = []  # tables that are still to do
        self._sweep_after = 0
        self._erasures: deque[Future[bool]] = deque()

    def ask_erasure(self) -> Future[bool]:
        """Have the next `after_commit` write the file anew, so that nothing deleted is left in it.

        The future says whether the log was emptied too: no reader may hold an old snapshot for longer than a wait of
        seconds. Thread-safe.
        """
        erasure: Future[bool] = Future()
        self._erasures.append(erasure)
        return erasure

    def after_commit(self) -> None:
        """Fold the log into the file once it has grown to a quarter of it, and give back some free pages."""
        if self._erasures:
            self._erase([self._erasures.popleft() for _ in range(len(self._erasures))])
        self._vacuum_step()
        if self._wal.stat().st_size > self._wal_limit():
            self._checkpoint()

    def idle_step(self) -> bool:
        """Do a bounded piece of what there is to do; False if that is nothing, and the log is empty."""
        if self._sweep_step() or self._vacuum_step():
            if self._wal.stat().st_size > self._wal_limit():
                self._checkpoint()
            return True
        if self._wal.stat().st_size:
            self._checkpoint()
        return False

    def _erase(self, erasures: Sequence[Future[bool]]) -> None:
        try:
            # `secure_delete` is not enough: where a page is split or merged, SQLite leaves copies of rows that moved.
            self._connection.execute("PRAGMA temp_store = FILE")  # memory might not hold it
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA temp_store = MEMORY")
            self._sweep, self._sweep_after = [], 0
            self._connection.execute("UPDATE upkeep SET removed_when_swept = ?", (self._rows_and_removed()[1],))
            self._connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_MILLISECONDS}")
            is_busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except Exception as error:  # noqa: BLE001 - it is handed to all who wait
            failed = StorageFailed(f"what was deleted could not be erased from the disk: {error}")
            for erasure in erasures:
                erasure.set_exception(failed)
        else:
            for erasure in erasures:
                erasure.set_result(not is_busy)

    def _wal_limit(self) -> int:
        share = int(self._path.stat().st_size * _WAL_FRACTION)
        return min(_LARGEST_WAL_BYTES, max(_SMALLEST_WAL_BYTES, share))

    def _checkpoint(self) -> None:
        # A reader that holds an old snapshot is not waited for: the next commit tries again.
        self._connection.execute("PRAGMA busy_timeout = 0")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_MILLISECONDS}")

    def _vacuum_step(self) -> bool:
        (free_pages,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        if free_pages <= _FREE_FRACTION * pages:
            return False
        # Not `execute`, which stops after the first page.
        self._connection.executescript(f"PRAGMA incremental_vacuum({_VACUUM_STEP_PAGES})")
        return True

    def _sweep_step(self) -> bool:
        if not self._sweep and not self._sweep_due():
            return False
        table = self._sweep[0]
        last = self._swept_window(table)
        if last is None:
            self._sweep.pop(0)
            self._sweep_after = 0
            if not self._sweep:
                self._connection.execute("UPDATE upkeep SET removed_when_swept = ?", (self._rows_and_removed()[1],))
        else:
            self._sweep_after = last
        return True

    def _sweep_due(self) -> bool:
        rows, removed = self._rows_and_removed()
        (removed_when_swept,) = self._connection.execute("SELECT removed_when_swept FROM upkeep").fetchone()
        if (removed - removed_when_swept) * 3 <= rows + _SWEEP_STEP_ROWS:
            return False
        self._sweep = list(_SWEPT)
        return True

    def _rows_and_removed(self) -> tuple[int, int]:
        """How many items there are, and how many there ever were besides: each had a sequence of its own."""
        (rows,) = self._connection.execute("SELECT count(*) FROM items").fetchone()
        newest = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'items'").fetchone()
        return rows, (newest[0] if newest else 0) - rows

    def _swept_window(self, table: str) -> int | None:
        """Write the next rows of a table again, and return the last sequence of them; None after the last."""
        columns = _SWEPT[table]
        window = f"SELECT sequence FROM {table} WHERE sequence > ? ORDER BY sequence LIMIT ?"  # noqa: S608 - constants
        (last,) = self._connection.execute(
            f"SELECT max(sequence) FROM ({window})",  # noqa: S608 - constants
            (self._sweep_after, _SWEEP_STEP_ROWS),
        ).fetchone()
        if last is None:
            return None
        bounds = (self._sweep_after, last)
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute(
            f"CREATE TEMP TABLE swept AS SELECT {columns} FROM {table} WHERE sequence > ? AND sequence <= ?",  # noqa: S608
            bounds,
        )
        self._connection.execute(f"DELETE FROM {table} WHERE sequence > ? AND sequence <= ?", bounds)  # noqa: S608
        self._connection.execute(
            f"INSERT INTO {table} ({columns}) SELECT {columns} FROM swept ORDER BY sequence"  # noqa: S608
        )
        self._connection.execute("DROP TABLE temp.swept")
        self._connection.execute("COMMIT")
        return int(last)
