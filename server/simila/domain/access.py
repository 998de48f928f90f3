"""Who may do what: API keys and their scopes."""

from dataclasses import dataclass
from enum import IntEnum


class Scope(IntEnum):
    """What a key allows; each scope includes those below it."""

    READ = 1  # embed, classify, search, and look
    WRITE = 2  # change collections and classifiers
    ADMIN = 3  # load and unload models, back up and restore

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Allowance:
    """How much a key may use a minute; None is as much as it likes."""

    items_per_minute: int | None = None
    bytes_per_minute: int | None = None  # of request bodies


@dataclass(frozen=True)
class ApiKey:
    """A key as it is known to the server, which never knows the secret itself. Times are seconds since the epoch."""

    id: str
    name: str
    scope: Scope
    collections: frozenset[str] | None  # None: all
    allowance: Allowance
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    last_used_at: float | None

    def is_valid_at(self, time: float) -> bool:
        return self.revoked_at is None and (self.expires_at is None or time < self.expires_at)

    def may_use(self, collection: str) -> bool:
        return self.collections is None or collection in self.collections
