"""What a filter means, in plain Python: written from the table in `simila.index.filters`, not from its SQL."""

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "$eq": operator.eq,
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
_NEGATIONS = {"$ne": "$eq", "$nin": "$in"}


@dataclass(frozen=True)
class FilteredItem:
    id: str
    label: str | None
    payload: Mapping[str, Any] | None


def matches(item: FilteredItem, source: Mapping[str, Any]) -> bool:
    return all(_entry_matches(item, key, value) for key, value in source.items())


def _entry_matches(item: FilteredItem, key: str, value: Any) -> bool:
    if key == "$and":
        return all(matches(item, clause) for clause in value)
    if key == "$or":
        return any(matches(item, clause) for clause in value)
    if key == "$nor":
        return not any(matches(item, clause) for clause in value)
    if key == "$not":
        return not matches(item, value)
    return _operators_match(list(_values(item, key)), value if isinstance(value, Mapping) else {"$eq": value})


def _operators_match(values: list[Any], operators: Mapping[str, Any]) -> bool:
    return all(_operator_matches(values, name, operand) for name, operand in operators.items())


def _operator_matches(values: list[Any], name: str, operand: Any) -> bool:
    if name in _NEGATIONS:
        return not _operator_matches(values, _NEGATIONS[name], operand)
    if name == "$not":
        return not _operators_match(values, operand)
    if name == "$exists":
        return bool(values) == operand
    if name == "$in":
        return any(_operator_matches(values, "$eq", alternative) for alternative in operand)
    return any(_compares(value, name, operand) for value in values)


def _compares(value: Any, name: str, operand: Any) -> bool:
    if isinstance(value, list | Mapping) or _type(value) != _type(operand):
        return False
    return _ORDERS[name](_number(value), _number(operand))


def _type(value: Any) -> str:
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def _number(value: Any) -> Any:
    """Integers beyond 64 bits are doubles."""
    is_large = isinstance(value, int) and not -(2**63) <= value < 2**63
    return float(value) if is_large else value


def _values(item: FilteredItem, key: str) -> Iterator[Any]:
    """All that stands at a key: the value itself, and a list's elements."""
    if key in ("$id", "$label"):
        value = getattr(item, key[1:])
        return iter(() if value is None else (value,))
    return _descend(item.payload or {}, key.split("."), may_enter_list=True)


def _descend(value: Any, names: list[str], *, may_enter_list: bool) -> Iterator[Any]:
    if not names:
        yield value
        if isinstance(value, list):
            yield from value
    elif isinstance(value, Mapping):
        if names[0] in value:
            yield from _descend(value[names[0]], names[1:], may_enter_list=may_enter_list)
    elif isinstance(value, list) and may_enter_list:
        for element in value:
            if isinstance(element, Mapping):
                yield from _descend(element, names, may_enter_list=False)
