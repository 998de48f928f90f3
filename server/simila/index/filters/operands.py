"""What may stand behind an operator."""

import math
from collections.abc import Iterable
from typing import Any

from simila.domain.errors import InvalidInput
from simila.index.filters.clauses import Clause, Column, Comparison, Holds, Key, Kind, Membership, Operator, Or, Scalar

MOST_LISTED_VALUES = 65_536


def comparison(key: Key, operator: Operator, operand: Any, place: str) -> Comparison:
    """Check the operand of `$eq`, `$gt`, `$gte`, `$lt` or `$lte`.

    Raises:
        InvalidInput: values of its type are not compared this way.

    """
    kind = _kind(key, operand, place)
    if kind is Kind.NULL and operator != "=":
        raise InvalidInput(f"{place}: null has no order; use $eq or $exists", param=place)
    return Comparison(operator, kind, operand)


def membership(key: Key, operands: Any, place: str) -> Clause:
    """Check the operand of `$in` and sort it by type.

    Raises:
        InvalidInput: it is not a list of scalars, or too long.

    """
    if not isinstance(operands, list):
        raise InvalidInput(f"{place}: it takes a list of values", param=place)
    if len(operands) > MOST_LISTED_VALUES:
        message = f"{place}: {len(operands)} values are more than the limit of {MOST_LISTED_VALUES}"
        raise InvalidInput(message, param=place)
    by_kind: dict[Kind, list[Scalar]] = {}
    for position, operand in enumerate(operands):
        by_kind.setdefault(_kind(key, operand, f"{place}[{position}]"), []).append(operand)
    tests = (test for kind, members in by_kind.items() for test in _alternatives(kind, members))
    alternatives = tuple(Holds(key, (test,)) for test in tests)
    return alternatives[0] if len(alternatives) == 1 else Or(alternatives)


def flag(operand: Any, place: str) -> bool:
    """Check the operand of `$exists`.

    Raises:
        InvalidInput: it is not true or false.

    """
    if not isinstance(operand, bool):
        raise InvalidInput(f"{place}: it takes true or false", param=place)
    return operand


def _alternatives(kind: Kind, members: list[Scalar]) -> Iterable[Comparison | Membership]:
    if kind in (Kind.NUMBER, Kind.STRING):
        return [Membership(kind, tuple(members))]
    return [Comparison("=", kind, member) for member in dict.fromkeys(members)]


def _kind(key: Key, operand: Any, place: str) -> Kind:
    kind = _json_kind(operand, place)
    if kind is Kind.STRING:
        _check_string(operand, place)
    if kind is Kind.NUMBER:
        _check_number(operand, place)
    if isinstance(key, Column) and kind is not Kind.STRING:
        hint = ' (no label: {"$exists": false})' if key.name == "label" and kind is Kind.NULL else ""
        raise InvalidInput(f"{place}: the {key.name} is a string, never {kind.value}{hint}", param=place)
    return kind


def _json_kind(operand: Any, place: str) -> Kind:
    match operand:
        case None:
            return Kind.NULL
        case bool():
            return Kind.BOOLEAN
        case int() | float():
            return Kind.NUMBER
        case str():
            return Kind.STRING
        case list():
            hint = "a list is not compared as a whole; $in takes a list of values"
        case dict():
            hint = "an object is not compared as a whole; name its keys with dots, as in {'a.b': 1}"
        case _:
            hint = f"{type(operand).__name__} is not a JSON value"
    raise InvalidInput(f"{place}: {hint}", param=place)


def _check_string(operand: str, place: str) -> None:
    # SQLite reads a JSON string up to its first NUL: "a\0b" would be found as "a", and never as itself.
    if "\0" in operand:
        raise InvalidInput(f"{place}: a string with a NUL character cannot be compared", param=place)
    if any("\ud800" <= character <= "\udfff" for character in operand):
        raise InvalidInput(f"{place}: half a surrogate pair is not Unicode text", param=place)


def _check_number(operand: float, place: str) -> None:
    try:
        is_finite = math.isfinite(operand)
    except OverflowError:
        is_finite = False
    if not is_finite:
        raise InvalidInput(f"{place}: the number is not finite, or too large for a double", param=place)
