"""Who changed what: a file to which lines are added and in which none can change unseen.

Each line is a JSON object and ends with `hash`, the SHA-256 of the hash before it and of the line's other fields (a
hash chain: Haber and Stornetta 1991). Who may write the file could write all of it anew: note the last hash elsewhere.
"""

import fcntl
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from simila.domain.errors import DataFolderError, StorageFailed
from simila.storage.durable_folders import make_folder

NO_HASH = "0" * 64
_LAST_LINE_BYTES = 2**16
_MOST_CHARACTERS = 1000
_HASH = re.compile(r', "hash": "([0-9a-f]{64})"\}\Z')


@dataclass(frozen=True)
class Chain:
    """What a log holds. `broken_line` is the first, counted from 1, that does not follow from those before it."""

    entries: int
    last_hash: str
    broken_line: int | None = None
    holds_expected: bool = True


class AuditLog:
    """The log `path`, which is made when it is first written. Thread-safe; other processes may add to it meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def append(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Add a line for each entry; they are on disk when this returns. It blocks.

        Raises:
            StorageFailed: the disk refuses.

        """
        try:
            make_folder(self._path.parent)
            with self._lock, _locked(self._path) as file:
                last_hash = _last_hash(file)
                lines = []
                for entry in entries:
                    line, last_hash = _line(entry, last_hash)
                    lines.append(line)
                _write(file, b"".join(lines))
        except OSError as error:
            raise StorageFailed(f"the audit log cannot be written: {error.strerror or error}") from error

    def verify(self, expected_hash: str | None = None) -> Chain:
        """Read all lines, and say whether each follows from those before it, and whether one has the expected hash.

        Raises:
            DataFolderError: the log cannot be read.

        """
        last_hash, count, was_seen = NO_HASH, 0, expected_hash is None
        try:
            with self._path.open("rb") as file:
                for number, line in enumerate(file, start=1):
                    found = _hash_of(line, last_hash)
                    if found is None:
                        return Chain(count, last_hash, number, was_seen)
                    last_hash, count = found, number
                    was_seen = was_seen or found == expected_hash
        except FileNotFoundError:
            pass
        except OSError as error:
            raise DataFolderError(f"the audit log {self._path} cannot be read: {error.strerror or error}") from error
        return Chain(count, last_hash, None, was_seen)


def audit_entry(actor: str | None, action: str, subject: str, **more: Any) -> dict[str, Any]:
    """What the log says: when, who (a key's id, or None), what was done to what."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {"time": now, "key": actor, "action": action, "subject": subject[:_MOST_CHARACTERS], **more}


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    finally:
        os.close(file)


def _line(entry: Mapping[str, Any], last_hash: str) -> tuple[bytes, str]:
    fields = json.dumps(entry)
    line_hash = _chained(fields, last_hash)
    return f'{fields[:-1]}, "hash": "{line_hash}"}}\n'.encode(), line_hash


def _chained(fields: str, last_hash: str) -> str:
    return sha256(f"{last_hash}{fields}".encode()).hexdigest()


def _hash_of(line: bytes, last_hash: str) -> str | None:
    """The hash of a line that follows; else None."""
    text = line.decode(errors="replace")
    found = _HASH.search(text.removesuffix("\n"))
    if not found or not text.endswith("\n"):
        return None
    return found[1] if _chained(text[: found.start()] + "}", last_hash) == found[1] else None


def _last_hash(file: int) -> str:
    """The hash of the last whole line. A torn one behind it was never acknowledged, and is cut."""
    size = os.fstat(file).st_size
    tail = os.pread(file, _LAST_LINE_BYTES, max(0, size - _LAST_LINE_BYTES))
    whole, line_break, torn = tail.rpartition(b"\n")
    if torn:
        os.ftruncate(file, size - len(torn))
    if not line_break:
        return NO_HASH
    found = _HASH.search(whole.rpartition(b"\n")[2].decode(errors="replace"))
    return found[1] if found else NO_HASH  # a damaged line: `verify` will say so


def _write(file: int, content: bytes) -> None:
    size = os.fstat(file).st_size
    try:
        written = os.write(file, content)
        if written != len(content):
            raise OSError(f"only {written} of {len(content)} bytes were written")
        os.fdatasync(file)
    except OSError:
        os.ftruncate(file, size)
        raise
