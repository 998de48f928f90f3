"""What a filter says, once it is understood."""

from dataclasses import dataclass
from enum import Enum
from typing import Literal

Scalar = str | int | float | bool | None
Operator = Literal["=", ">", ">=", "<", "<="]


class Kind(Enum):
    """The types that values are compared within."""

    NUMBER = "a number"
    STRING = "a string"
    BOOLEAN = "a boolean"
    NULL = "null"


@dataclass(frozen=True, slots=True)
class Column:
    """A key that every item has beside its payload."""

    name: Literal["id", "label"]


@dataclass(frozen=True, slots=True)
class PayloadKey:
    """The names from the payload's root down to a value."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    operator: Operator
    kind: Kind
    operand: Scalar


@dataclass(frozen=True, slots=True)
class Membership:
    """The value is one of the operands, which are all numbers or all strings."""

    kind: Kind
    operands: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Existence:
    """There is a value, null or other."""


Key = Column | PayloadKey
Test = Comparison | Membership | Existence


@dataclass(frozen=True, slots=True)
class Holds:
    """Each test is passed by some value of the key: where the key has several, not all by the same."""

    key: Key
    tests: tuple[Test, ...]


@dataclass(frozen=True, slots=True)
class Not:
    clause: "Clause"


@dataclass(frozen=True, slots=True)
class And:
    clauses: tuple["Clause", ...]


@dataclass(frozen=True, slots=True)
class Or:
    clauses: tuple["Clause", ...]


Clause = Holds | Not | And | Or
