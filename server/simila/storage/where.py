"""A condition on table `items`: what a filter compiles to and what a store runs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Where:
    """`sql` is one boolean expression over table `items`, `parameters` the values of its `?` in their order.

    The expression is never NULL, and stands in parentheses where it needs them: `NOT {sql}` and `{sql} AND ...` are safe.
    """

    sql: str
    parameters: tuple[str | int | float | None, ...] = ()
