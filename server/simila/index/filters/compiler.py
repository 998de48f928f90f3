"""A filter's clauses as SQL that SQLite's planner can use payload indexes for."""

from collections.abc import Callable, Iterable

from simila.index.filters.clauses import (
    And,
    Clause,
    Column,
    Comparison,
    Existence,
    Holds,
    Key,
    Kind,
    Membership,
    Not,
    Or,
    Scalar,
    Test,
)
from simila.storage.payload_paths import path_sql, payload_text, type_sql, value_sql
from simila.storage.where import Where

_PAYLOAD = "items.payload"
_JSON_TYPES = {
    Kind.NUMBER: "IN ('integer', 'real')",
    Kind.STRING: "= 'text'",
    Kind.BOOLEAN: "IN ('true', 'false')",
    Kind.NULL: "= 'null'",
}
_INT64 = range(-(2**63), 2**63)

# The condition on one value, given the SQL of the value and of its JSON type.
_Condition = Callable[[str, str], Where]


def compile_clause(clause: Clause) -> Where:
    """The condition on table `items` that the clause states: values are bound, keys are quoted literals.

    Only `AND` and `OR` get parentheses: all else binds tighter.
    """
    match clause:
        case And(clauses):
            return _all(compile_clause(each) for each in _largest_first(clauses))
        case Or(clauses):
            return _any(compile_clause(each) for each in _largest_first(clauses))
        case Not(inner):
            # `NOT` of NULL is NULL: an item without the key would match neither a clause nor its negation.
            negated = compile_clause(inner)
            return Where(f"{negated.sql} IS NOT TRUE", negated.parameters)
        case Holds(key, tests):
            return _holds(key, tests)


def _largest_first(clauses: Iterable[Clause]) -> list[Clause]:
    """SQLite's parser has a stack of 100 symbols, and keeps there what stands before an open parenthesis."""
    return sorted(clauses, key=_parser_stack, reverse=True)


def _parser_stack(clause: Clause) -> int:
    """How many symbols its parentheses put on the stack: one each, and three from the second operand on."""
    match clause:
        case And(clauses) | Or(clauses):
            first, second, *_ = sorted((0, 0, *map(_parser_stack, clauses)), reverse=True)
            return max(first + 1, second + 3)
        case Not(inner):
            return _parser_stack(inner)
        case Holds():
            return 0


def _holds(key: Key, tests: tuple[Test, ...]) -> Where:
    if isinstance(key, Column):
        return _all(_column_test(f"items.{key.name}", test) for test in tests)
    # Of a payload's shapes (no list on the way, a list at the first name, at the second, ...) one is the case, so the
    # tests of a key can be joined shape by shape, and a range stays one range of an index.
    shapes = zip(*(_shapes(key.names, test) for test in tests), strict=True)
    return _any(_all(shape) for shape in shapes)


def _column_test(column: str, test: Test) -> Where:
    if isinstance(test, Existence):
        return Where(f"{column} IS NOT NULL")
    return _compared(column, test)


def _shapes(names: tuple[str, ...], test: Test) -> list[Where]:
    """A test of a payload key, once for each place where a list may be on the way."""

    def passes(value: str, json_type: str) -> Where:
        if isinstance(test, Existence):
            return Where(f"{json_type} IS NOT NULL")
        return _all([_compared(value, test), Where(f"{json_type} {_JSON_TYPES[test.kind]}")])

    anywhere = range(1, len(names) + 1)
    return _branches(_PAYLOAD, names, passes, anywhere)


def _branches(document: str, names: tuple[str, ...], passes: _Condition, list_places: Iterable[int]) -> list[Where]:
    """`list_places` are the numbers of names after which a list is looked into."""
    direct = passes(value_sql(document, names), type_sql(document, names))
    return [direct, *(_in_list(document, names[:place], names[place:], passes) for place in list_places)]


def _in_list(document: str, names: tuple[str, ...], rest: tuple[str, ...], passes: _Condition) -> Where:
    """Some element of the list at `names` passes, or what lies at `rest` in it."""
    row = f"element_{len(rest)}"
    if rest:
        # `CASE`, for a string among the elements would be parsed as JSON, and SQL may swap the sides of an `AND`.
        element = f"CASE {row}.type WHEN 'object' THEN {row}.value END"
        condition = _any(_branches(element, rest, passes, [len(rest)]))
    else:
        condition = passes(f"{row}.value", f"{row}.type")
    elements = f"json_each({document}, {path_sql(names)}) AS {row}"
    exists = f"EXISTS (SELECT 1 FROM {elements} WHERE {condition.sql})"  # noqa: S608 - quoted paths, bound values
    return Where(f"({type_sql(document, names)} = 'array' AND {exists})", condition.parameters)


def _compared(value: str, test: Comparison | Membership) -> Where:
    if isinstance(test, Membership):
        listed = payload_text(test.operands)
        return Where(f"{value} IN (SELECT value FROM json_each(?))", (listed,))  # noqa: S608 - as above
    if test.kind is Kind.NULL:
        return Where(f"{value} IS NULL")
    operand, parameter = _bound(test.operand)
    return Where(f"{value} {test.operator} {operand}", (parameter,))


def _bound(operand: Scalar) -> tuple[str, str | int]:
    """Numbers outside of 64-bit integers are read by SQLite, as the payload's are: equal texts are then equal."""
    if isinstance(operand, str):
        return "?", operand
    if isinstance(operand, int) and operand in _INT64:
        return "?", int(operand)
    return "json_extract(?, '$')", payload_text(operand)


def _all(conditions: Iterable[Where]) -> Where:
    return _joined(" AND ", conditions, "TRUE")


def _any(conditions: Iterable[Where]) -> Where:
    return _joined(" OR ", conditions, "FALSE")


def _joined(operator: str, conditions: Iterable[Where], empty: str) -> Where:
    parts = tuple(conditions)
    if len(parts) == 1:
        return parts[0]
    sql = f"({operator.join(part.sql for part in parts)})" if parts else empty
    return Where(sql, tuple(parameter for part in parts for parameter in part.parameters))
