"""Filters from the command line."""

import json
from typing import Annotated, Any

import typer

from simila.cli.errors import WrongUsage

FilterOption = Annotated[
    str | None,
    typer.Option("--filter", metavar="JSON", help='Only items that match, as in \'{"price": {"$lt": 10}}\'.'),
]


def read_filter(text: str | None) -> dict[str, Any] | None:
    """The filter that a text in JSON states; the server checks what it says.

    Raises:
        WrongUsage: it is no JSON object.

    """
    if text is None:
        return None
    try:
        conditions = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WrongUsage(f"--filter is not JSON: {error}") from error
    if not isinstance(conditions, dict):
        raise WrongUsage('--filter is no JSON object, as {"price": {"$lt": 10}} is one')
    return conditions
