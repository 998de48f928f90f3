"""A condition on table `items`: what a filter compiles to and what a store runs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Where:
    """`sql` is one boolean expression, `parameters` the values of its `?` in their order.

    It names the columns by their table (`items.id`), so the query says `FROM items` without an alias. It needs no
    parentheses around it. NULL means no match, as everywhere in SQL: negate it with `IS NOT TRUE`, never with `NOT`.
    """

    sql: str
    parameters: tuple[str | int | None, ...] = ()
