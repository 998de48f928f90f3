"""A filter as it came from outside, understood clause by clause."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from simila.domain.errors import InvalidInput, quoted
from simila.index.filters.clauses import And, Clause, Column, Existence, Holds, Key, Not, Operator, Or, PayloadKey
from simila.index.filters.operands import comparison, flag, membership
from simila.storage.payload_paths import key_names

DEEPEST_FILTER = 12
MOST_CLAUSES = 512

_ORDER: dict[str, Operator] = {"$eq": "=", "$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_ON_A_KEY = ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$not")
_BETWEEN_CLAUSES = ("$and", "$or", "$nor", "$not")
_COLUMNS = {"$id": Column("id"), "$label": Column("label")}


def parse_filter(source: Any, name: str = "filter") -> Clause:
    """Understand a filter, or say by its path which clause is wrong.

    Raises:
        InvalidInput: it is malformed, nested too deep, or has too many clauses.

    """
    return _Parser(name).object(source, name, 1)


class _Parser:
    """`count` is of the objects and operators met so far, an implicit `$eq` included."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0

    def object(self, source: Any, place: str, depth: int) -> Clause:
        if not isinstance(source, Mapping):
            raise _malformed(place, 'it takes an object, as in {"price": {"$lt": 10}}')
        _check_depth(place, depth)
        self._count_one(place)
        return _both(self._entry(key, value, f"{place}.{_shown(key)}", depth) for key, value in source.items())

    def _entry(self, key: Any, value: Any, place: str, depth: int) -> Clause:
        match key:
            case "$and":
                return And(self._list(value, place, depth))
            case "$or":
                return Or(self._list(value, place, depth))
            case "$nor":
                return Not(Or(self._list(value, place, depth)))
            case "$not":
                return Not(self.object(value, place, depth + 1))
        return self._on_key(_key(key, place), value, place, depth)

    def _list(self, clauses: Any, place: str, depth: int) -> tuple[Clause, ...]:
        if not isinstance(clauses, list) or not clauses:
            raise _malformed(place, "it takes a list of at least one filter")
        return tuple(self.object(clause, f"{place}[{position}]", depth + 1) for position, clause in enumerate(clauses))

    def _on_key(self, key: Key, value: Any, place: str, depth: int) -> Clause:
        if isinstance(value, Mapping) and any(str(name).startswith("$") for name in value):
            return self._operators(key, value, place, depth)
        return self._operator(key, "$eq", value, place, depth)

    def _operators(self, key: Key, operators: Any, place: str, depth: int) -> Clause:
        if not isinstance(operators, Mapping) or not operators:
            raise _malformed(place, 'it takes operators, as in {"$gt": 3}')
        _check_depth(place, depth)
        return _both(
            self._operator(key, operator, operand, f"{place}.{_shown(operator)}", depth)
            for operator, operand in operators.items()
        )

    def _operator(self, key: Key, operator: Any, operand: Any, place: str, depth: int) -> Clause:
        self._count_one(place)
        match operator:
            case "$eq" | "$gt" | "$gte" | "$lt" | "$lte":
                return Holds(key, (comparison(key, _ORDER[operator], operand, place),))
            case "$ne":
                return Not(Holds(key, (comparison(key, "=", operand, place),)))
            case "$in":
                return membership(key, operand, place)
            case "$nin":
                return Not(membership(key, operand, place))
            case "$exists":
                exists = Holds(key, (Existence(),))
                return exists if flag(operand, place) else Not(exists)
            case "$not":
                return Not(self._operators(key, operand, place, depth + 1))
        raise _malformed(place, _unknown(operator, _ON_A_KEY))

    def _count_one(self, place: str) -> None:
        self._count += 1
        if self._count > MOST_CLAUSES:
            raise _malformed(place, f"the filter has more than {MOST_CLAUSES} clauses; $in takes a list of values")


def _both(clauses: Iterable[Clause]) -> Clause:
    """All of the clauses. Tests of one key become one clause, so that an index meets a range with both its ends."""
    tests: dict[Key, Holds] = {}
    others: list[Clause] = []
    for clause in clauses:
        if isinstance(clause, Holds):
            earlier = tests[clause.key].tests if clause.key in tests else ()
            tests[clause.key] = Holds(clause.key, earlier + clause.tests)
        else:
            others.append(clause)
    together = (*tests.values(), *others)
    return together[0] if len(together) == 1 else And(together)


def _key(key: Any, place: str) -> Key:
    if not isinstance(key, str):
        raise _malformed(place, "a key is a string")
    if key in _COLUMNS:
        return _COLUMNS[key]
    if key in _ON_A_KEY:
        raise _malformed(place, f'{key} stands behind a key, as in {{"price": {{"{key}": ...}}}}')
    if key.startswith("$"):
        raise _malformed(place, _unknown(key, (*_BETWEEN_CLAUSES, *_COLUMNS)))
    try:
        return PayloadKey(key_names(key))
    except InvalidInput as error:
        raise _malformed(place, error.message) from error


def _check_depth(place: str, depth: int) -> None:
    if depth > DEEPEST_FILTER:
        raise _malformed(place, f"it is nested more than {DEEPEST_FILTER} deep")


def _unknown(word: Any, known: tuple[str, ...]) -> str:
    near = get_close_matches(str(word), known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{quoted(str(word))} is not known here, known are {', '.join(known)}{hint}"


def _shown(name: Any) -> str:
    return quoted(str(name))[1:-1]


def _malformed(place: str, message: str) -> InvalidInput:
    return InvalidInput(f"{place}: {message}", param=place)
