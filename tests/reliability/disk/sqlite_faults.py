"""A disk that fails SQLite: writes and syncs of one connection are answered with errors.

SQLite asks each open file through a table of functions; this puts its own in the place of two of them. (A virtual file
system is the documented way; Python's sqlite3 cannot be given one.)
"""

import ctypes
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

FULL, IOERR_WRITE, IOERR_FSYNC = sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC
File = Literal["database", "log"]
Request = Literal["write", "sync"]
Verdict = Callable[[Request], int | None]
"""The error code that a request is to fail with; None to let it pass."""

_FILE_POINTERS: dict[File, int] = {"database": 7, "log": 28}  # SQLITE_FCNTL_FILE_POINTER, ..._JOURNAL_POINTER
_BEFORE_DATABASE = object.__basicsize__  # sqlite3.Connection begins with its sqlite3*
_TABLE_ENTRIES = 19  # sqlite3_io_methods, version 3; all of the size of a pointer
_WRITE, _SYNC = 3, 5
_WRITE_FUNCTION = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64)
_SYNC_FUNCTION = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)


@contextmanager
def failing(connection: sqlite3.Connection, file: File, verdict: Verdict) -> Iterator[None]:
    """Let requests of a file fail by `verdict`; a write that fails has written half. The connection must be idle."""
    handle = _file_of(connection, file)
    table_pointer = ctypes.c_void_p.from_address(handle)
    original = table_pointer.value
    assert original
    table = (ctypes.c_void_p * _TABLE_ENTRIES).from_buffer_copy(
        (ctypes.c_void_p * _TABLE_ENTRIES).from_address(original)
    )
    write, sync = _WRITE_FUNCTION(table[_WRITE]), _SYNC_FUNCTION(table[_SYNC])

    @_WRITE_FUNCTION
    def failing_write(handle: int, content: int, length: int, offset: int) -> int:
        error = verdict("write")
        written = write(handle, content, length if error is None else length // 2, offset)
        return int(written) if error is None else error

    @_SYNC_FUNCTION
    def failing_sync(handle: int, flags: int) -> int:
        error = verdict("sync")
        return int(sync(handle, flags)) if error is None else error

    table[_WRITE] = ctypes.cast(failing_write, ctypes.c_void_p).value
    table[_SYNC] = ctypes.cast(failing_sync, ctypes.c_void_p).value
    table_pointer.value = ctypes.addressof(table)
    try:
        yield
    finally:
        table_pointer.value = original


def _file_of(connection: sqlite3.Connection, file: File) -> int:
    library = ctypes.CDLL("libsqlite3.so.0")
    database = ctypes.c_void_p.from_address(id(connection) + _BEFORE_DATABASE)
    handle = ctypes.c_void_p()
    answer = library.sqlite3_file_control(database, b"main", _FILE_POINTERS[file], ctypes.byref(handle))
    assert (answer, bool(handle.value)) == (sqlite3.SQLITE_OK, True)
    assert handle.value
    return handle.value
