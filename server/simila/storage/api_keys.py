"""API keys in a SQLite file: what is kept of a key is a hash, from which nobody can make the key.

A key is `simila_ID_SECRET`. The secret has 256 random bits: one round of SHA-256 keeps it safer than a slow hash keeps
a password (OWASP ASVS 4.0, 2.4 is about what people choose).
"""

import hmac
import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from simila.domain.access import Allowance, ApiKey, Scope
from simila.domain.errors import DataFolderError, StorageFailed, UnknownKey
from simila.storage.durable_folders import make_folder

_PREFIX = "simila"
_ID_BYTES, _SECRET_BYTES = 6, 32
# A change by another process, such as `simila keys revoke`, counts from then at the latest.
_FRESH_SECONDS = 0.5
# The time of the last use is written no more often than this.
_USE_SECONDS = 60.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    secret_sha256 BLOB NOT NULL,
    scope TEXT NOT NULL,
    collections TEXT,
    items_per_minute INTEGER,
    bytes_per_minute INTEGER,
    created_at REAL NOT NULL,
    expires_at REAL,
    revoked_at REAL,
    last_used_at REAL
) STRICT, WITHOUT ROWID
"""


class ApiKeys:
    """The keys of a data folder. Thread-safe; other processes may change them meanwhile.

    Raises:
        DataFolderError: the file cannot be opened.

    """

    def __init__(self, file: Path) -> None:
        try:
            make_folder(file.parent)
            os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite would let others read it
            self._connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            remedy = "restore it, or remove it and make keys anew"
            raise DataFolderError(f"the API keys in {file} cannot be read: {error}; {remedy}") from error
        self._file = file
        self._lock = threading.Lock()
        self._known: dict[str, tuple[ApiKey, bytes]] = {}
        self._version: int | None = None
        self._fresh_until = 0.0

    def create(
        self,
        name: str,
        scope: Scope,
        *,
        collections: Collection[str] | None = None,
        allowance: Allowance = Allowance(),  # noqa: B008  it is frozen
        expires_at: float | None = None,
    ) -> tuple[ApiKey, str]:
        """Make a key; return it and the text that callers send, which is not kept.

        Raises:
            StorageFailed: the disk refuses it.

        """
        id_, secret = secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
        allowed = None if collections is None else frozenset(collections)
        key = ApiKey(id_, name, scope, allowed, allowance, time.time(), expires_at, None, None)
        listed = None if allowed is None else json.dumps(sorted(allowed))
        with self._lock:
            self._write(
                "INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)",
                (
                    id_,
                    name,
                    _digest(secret),
                    str(scope),
                    listed,
                    allowance.items_per_minute,
                    allowance.bytes_per_minute,
                    key.created_at,
                    expires_at,
                ),
            )
        return key, f"{_PREFIX}_{id_}_{secret}"

    def all(self) -> Sequence[ApiKey]:
        """Every key there ever was, the oldest first."""
        with self._lock:
            self._refresh()
            return sorted((key for key, _ in self._known.values()), key=lambda key: key.created_at)

    def revoke(self, key_id: str) -> ApiKey:
        """End a key; it stays in the list.

        Raises:
            UnknownKey: there is none with this id.
            StorageFailed: the disk refuses it.

        """
        with self._lock:
            self._refresh()
            if key_id not in self._known:
                raise UnknownKey(f"no key has the id '{key_id}'; simila keys list shows them", param="id")
            self._write("UPDATE keys SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?", (time.time(), key_id))
            self._refresh()
            return self._known[key_id][0]

    def are_wanted(self) -> bool:
        """Whether callers need a key: there is one, or was."""
        with self._lock:
            self._refresh()
            return bool(self._known)

    def key_of(self, text: str) -> ApiKey | None:
        """The key that a caller has sent, if it is one that holds now."""
        prefix, _, rest = text.partition("_")
        id_, _, secret = rest.partition("_")
        now = time.time()
        with self._lock:
            self._refresh()
            key, digest = self._known.get(id_, (None, b""))
            # Compared in any case, so that the time says nothing of whether the id is known.
            is_right = hmac.compare_digest(_digest(secret), digest or bytes(32)) and prefix == _PREFIX
            if key is None or not is_right or not key.is_valid_at(now):
                return None
            if now - (key.last_used_at or 0) > _USE_SECONDS:
                self._known[id_] = replace(key, last_used_at=now), digest
                with suppress(sqlite3.Error):  # callers need their keys on a full disk too
                    self._connection.execute("UPDATE keys SET last_used_at = ? WHERE id = ?", (now, id_))
            return key

    def close(self) -> None:
        self._connection.close()

    def _write(self, statement: str, values: Sequence[object]) -> None:
        try:
            self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise StorageFailed(f"the API keys in {self._file} cannot be written: {error}") from error
        self._fresh_until = 0.0

    def _refresh(self) -> None:
        """Read the keys again if this or another process has changed them."""
        now = time.monotonic()
        if now < self._fresh_until:
            return
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if version != self._version or not self._fresh_until:
            rows = self._connection.execute("SELECT * FROM keys")
            self._known = {row["id"]: (_key(row), row["secret_sha256"]) for row in rows}
            self._version = version
        self._fresh_until = now + _FRESH_SECONDS


def _key(row: sqlite3.Row) -> ApiKey:
    collections = row["collections"]
    return ApiKey(
        id=row["id"],
        name=row["name"],
        scope=Scope[row["scope"].upper()],
        collections=None if collections is None else frozenset(json.loads(collections)),
        allowance=Allowance(row["items_per_minute"], row["bytes_per_minute"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
    )


def _digest(secret: str) -> bytes:
    return sha256(secret.encode()).digest()
