"""`simila collections forget`: items gone without a trace."""

from typing import Annotated

import typer

from simila.cli import tables
from simila.cli.collections import NameArgument
from simila.cli.connection import UrlOption, connect
from simila.cli.errors import WrongUsage
from simila.cli.filters import FilterOption, read_filter
from simila_client import Forgotten


def forget(
    name: NameArgument,
    ids: Annotated[list[str] | None, typer.Option("--id", metavar="ID", help="An item; repeatable.")] = None,
    label: Annotated[str | None, typer.Option(help="All items of a class.")] = None,
    conditions: FilterOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: tables.JsonOption = False,
    url: UrlOption = None,
) -> None:
    """Delete items so that no file of the server holds a trace of them, and print the receipt.

    simila collections forget shoes --id boots/17.jpg

    simila collections forget shoes --filter '{"customer": 7}' --yes
    """
    if sum(given is not None for given in (ids or None, label, conditions)) != 1:
        raise WrongUsage("give exactly one of --id, --label and --filter")
    matching = read_filter(conditions)
    with connect(url) as client:
        if not yes:
            wanted = {"$id": {"$in": ids}} if ids else {"$label": label} if label is not None else matching
            typer.confirm(f"Forget {client.count(name, wanted)} items of {name}?", abort=True)
        receipt = client.forget(name, ids=ids or None, label=label, filter=matching)
    tables.answer(receipt, lambda: _show(name, receipt), as_json=as_json)


def _show(name: str, receipt: Forgotten) -> None:
    tables.show(f"forgot {receipt.items} items of {name}; no file holds them any more, and the class means agree")
    if stale := receipt.stale_classifiers:
        tables.show(f"erased, because they had learned from them: {', '.join(stale)}; train them anew")
    if unreadable := receipt.unreadable_classifiers:
        tables.show(f"damaged, so that nobody knows what they learned from: {', '.join(unreadable)}; delete them")
    if receipt.classes:
        table = tables.table(
            tables.column("label"), tables.column("forgotten", justify="right"), tables.column("left", justify="right")
        )
        for one, count in receipt.classes.items():
            table.add_row(one, str(count), str(receipt.remaining[one]))
        tables.show(table)
