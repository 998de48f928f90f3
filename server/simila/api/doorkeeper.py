"""Whether a key that somebody sends lets a call in, whatever the protocol."""

import time

from simila.api.scopes import Need
from simila.domain.access import Allowance, ApiKey
from simila.domain.errors import AllowanceSpent, Forbidden, Unauthorized
from simila.storage.api_keys import ApiKeys

MINUTE_SECONDS = 60.0


class Doorkeeper:
    """Knows the keys, and what each has used.

    Where no key was ever made, everybody may do everything: the server then listens on loopback alone, unless
    `--insecure` says otherwise. A key is charged while its calls are read, and refused while it owes: a token
    bucket (Turner 1986) that holds a minute's allowance.
    """

    def __init__(self, keys: ApiKeys) -> None:
        self._keys = keys
        self._buckets: dict[str, _Buckets] = {}

    def admitted(self, sent: str | None, need: Need) -> ApiKey | None:
        """The key of a call that may come in; None where none is needed.

        Raises:
            Unauthorized: there is none, or it does not hold.
            Forbidden: it does not allow this.
            AllowanceSpent: it owes.

        """
        if need.scope is None or not self._keys.are_wanted():
            return None
        key = self._keys.key_of(sent) if sent else None
        if key is None:
            fault = "the API key is unknown, revoked or expired" if sent else "an API key is needed"
            raise Unauthorized(f"{fault}; send it as 'Authorization: Bearer KEY' (simila keys create)")
        if key.scope < need.scope:
            raise Forbidden(f"the key {key.id} is for {key.scope}; this needs a key for {need.scope}")
        if need.collection and not key.may_use(need.collection):
            raise Forbidden(f"the key {key.id} is not for the collection '{need.collection}'", param="name")
        self._buckets_of(key).check(key)
        return key

    def charge(self, key: ApiKey, *, items: int, body_bytes: int) -> None:
        """Take what a call uses out of its key's allowance."""
        self._buckets_of(key).take(items, body_bytes)

    def _buckets_of(self, key: ApiKey) -> "_Buckets":
        if key.id not in self._buckets:
            self._buckets[key.id] = _Buckets(key.allowance)
        return self._buckets[key.id]


class _Buckets:
    """What a key has left, of items and of bytes."""

    def __init__(self, allowance: Allowance) -> None:
        self._items = _Bucket(allowance.items_per_minute)
        self._bytes = _Bucket(allowance.bytes_per_minute)

    def check(self, key: ApiKey) -> None:
        for bucket, unit in ((self._items, "items"), (self._bytes, "bytes")):
            if seconds := bucket.seconds_until_positive():
                raise AllowanceSpent(
                    f"the key {key.id} has used its {bucket.per_minute} {unit} a minute", retry_after_seconds=seconds
                )

    def take(self, items: int, body_bytes: int) -> None:
        self._items.take(items)
        self._bytes.take(body_bytes)


class _Bucket:
    def __init__(self, per_minute: int | None) -> None:
        self.per_minute = per_minute
        self._left = float(per_minute or 0)
        self._filled_at = time.monotonic()

    def seconds_until_positive(self) -> float:
        """0 where something is left."""
        if self.per_minute is None:
            return 0.0
        self._fill(self.per_minute)
        return 0.0 if self._left > 0 else (1 - self._left) * MINUTE_SECONDS / self.per_minute

    def take(self, amount: int) -> None:
        if self.per_minute is not None:
            self._fill(self.per_minute)
            self._left -= amount

    def _fill(self, per_minute: int) -> None:
        now = time.monotonic()
        self._left = min(per_minute, self._left + (now - self._filled_at) * per_minute / MINUTE_SECONDS)
        self._filled_at = now


def bearer(value: str) -> str | None:
    """The key of an `Authorization` header."""
    return value[7:].strip() if value[:7].lower() == "bearer " else None
