"""The nearest groups: items that have the same value at a key of their payloads."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simila.domain.errors import InvalidInput, quoted
from simila.domain.results import Hit
from simila.index.filters import compile_filter
from simila.services.ranked_items import RankedItems, all_of
from simila.storage.payload_paths import key_names, type_sql
from simila.storage.where import Where

_LABEL = "$label"
_FEWEST_AT_ONCE = 64
_INT64 = range(-(2**63), 2**63)

Value = str | int | float | bool


@dataclass(frozen=True)
class Group:
    """The items of one value, the nearest first."""

    value: Value
    hits: list[Hit]


class GroupKey:
    """A payload key, dotted, or `$label`. Items whose value there is no string, number or boolean are in no group."""

    def __init__(self, key: str, param: str) -> None:
        """Take a key; `param` is what messages call it.

        Raises:
            InvalidInput: SQLite cannot address the key, or it is no payload's.

        """
        if key.startswith("$") and key != _LABEL:
            raise InvalidInput(f"{param}: {quoted(key)} is no key of a payload; {_LABEL} groups by label", param=param)
        self._key = key
        try:
            self._names = key_names(key)
        except InvalidInput as error:
            raise InvalidInput(f"{param}: {error.message}", param=param) from error

    def having_value(self) -> Where:
        """The condition that an item is in some group."""
        if self._key == _LABEL:
            return Where("items.label IS NOT NULL")
        json_type = type_sql("items.payload", self._names)
        return Where(f"{json_type} IN ('text', 'integer', 'real', 'true', 'false')")

    def having(self, values: Iterable[Value]) -> Where:
        return compile_filter({self._key: {"$in": list(values)}})

    def having_other_than(self, values: Iterable[Value]) -> Where:
        return compile_filter({self._key: {"$nin": list(values)}})

    def value(self, hit: Hit) -> Value | None:
        if self._key == _LABEL:
            return hit.label
        found: Any = hit.payload
        for name in self._names:
            found = found.get(name) if isinstance(found, Mapping) else None
        return _comparable(found)


async def nearest_groups(items: RankedItems, key: GroupKey, *, limit: int, size: int) -> list[Group]:
    """The `limit` groups that have the nearest items, or all if they are fewer, with their `size` nearest items each.

    Whatever was found is left out of the next search, so that a large group hides no other.
    """
    groups: dict[tuple[bool, Value], Group] = {}
    at_once = max(_FEWEST_AT_ONCE, 2 * limit * size)
    is_all = False
    while len(groups) < limit:
        known = len(groups)
        others = key.having_other_than(group.value for group in groups.values())
        hits = await items.top(at_once, all_of(key.having_value(), others))
        _add(hits, key, groups, size)
        if len(hits) < at_once:
            is_all = not known
            break
        if len(groups) == known:
            at_once *= 2
    nearest = sorted(groups.values(), key=lambda group: (-group.hits[0].score, group.hits[0].sequence))[:limit]
    if not is_all:
        await _fill(nearest, items, key, size)
    return nearest


async def _fill(groups: Sequence[Group], items: RankedItems, key: GroupKey, size: int) -> None:
    """Find the items that groups lack."""
    at_once = max(_FEWEST_AT_ONCE, 2 * len(groups) * size)
    while lacking := {_identity(group.value): group for group in groups if len(group.hits) < size}:
        found = [hit.sequence for group in lacking.values() for hit in group.hits]
        others = Where("items.sequence NOT IN (SELECT value FROM json_each(?))", (json.dumps(found),))
        values = key.having(group.value for group in lacking.values())
        hits = await items.top(at_once, all_of(key.having_value(), values, others))
        _add(hits, key, lacking, size)
        if len(hits) < at_once:
            return


def _add(hits: Iterable[Hit], key: GroupKey, groups: dict[tuple[bool, Value], Group], size: int) -> None:
    for hit in hits:
        value = key.value(hit)
        if value is None:
            continue
        group = groups.setdefault(_identity(value), Group(value, []))
        if len(group.hits) < size:
            group.hits.append(hit)


def _identity(value: Value) -> tuple[bool, Value]:
    """Python takes True for 1."""
    return isinstance(value, bool), value


def _comparable(value: Any) -> Value | None:
    """The value as a filter compares it; None where it cannot."""
    match value:
        case bool():
            return value
        case str():
            return None if "\0" in value else value
        case int() if value not in _INT64:
            return _comparable_double(value)
        case int() | float():
            return value
    return None


def _comparable_double(value: int) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None
