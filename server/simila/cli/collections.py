"""`simila collections`: create, look at, fill and delete collections."""

from dataclasses import asdict
from typing import Annotated

import typer

from simila.cli import tables
from simila.cli.connection import UrlOption, connect
from simila.cli.errors import WrongUsage
from simila.cli.filters import FilterOption, read_filter
from simila_client import Collection

app = typer.Typer(help="Create, list, fill and delete collections.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The collection.")]


@app.command("list")
def list_collections(as_json: tables.JsonOption = False, url: UrlOption = None) -> None:
    """List all collections.

    simila collections list

    simila collections list | jq -r .name
    """
    with connect(url) as client:
        collections = client.collections()
    tables.answer(collections, lambda: _show_all(collections), as_json=as_json, lines=collections)


@app.command()
def create(
    name: NameArgument,
    encoder: Annotated[
        str, typer.Option(metavar="ENCODER", help="The encoder of all its items; `migrate` changes it later.")
    ],
    store_inputs: Annotated[
        bool, typer.Option("--store-inputs", help="Keep texts and images themselves, as `migrate` needs them.")
    ] = False,
    url: UrlOption = None,
) -> None:
    """Create a collection; one that is there with the same encoder is left as it is.

    simila collections create shoes --encoder simila-lite --store-inputs
    """
    with connect(url) as client:
        collection = client.create_collection(name, encoder, store_inputs=store_inputs or None)
    words = f"{collection.name}: {collection.encoder}, {collection.dimension} dimensions, {collection.items} items"
    tables.answer(collection, lambda: tables.show(words))


@app.command()
def show(name: NameArgument, as_json: tables.JsonOption = False, url: UrlOption = None) -> None:
    """Show one collection and its labels."""
    with connect(url) as client:
        collection = client.collection(name)
    tables.answer(collection, lambda: _show_one(collection), as_json=as_json)


@app.command()
def delete(
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: UrlOption = None,
) -> None:
    """Delete a collection with all its items."""
    with connect(url) as client:
        collection = client.collection(name)
        amount = collection.state if collection.items is None else f"{collection.items} items"
        if not yes:
            typer.confirm(f"Delete {name} ({amount})?", abort=True)
        client.delete_collection(name)
    tables.answer({"deleted": name, "items": collection.items}, lambda: tables.show(f"deleted {name} ({amount})"))


@app.command()
def count(name: NameArgument, conditions: FilterOption = None, url: UrlOption = None) -> None:
    """Count the items that match a filter, or all.

    simila collections count shoes --filter '{"price": {"$lt": 100}}'
    """
    with connect(url) as client:
        found = client.count(name, read_filter(conditions))
    tables.answer({"count": found}, lambda: tables.show(str(found)))


@app.command("delete-items")
def delete_items(
    name: NameArgument,
    conditions: FilterOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Every item.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: UrlOption = None,
) -> None:
    """Delete the items that match a filter, or all; `forget` leaves no trace of them either.

    simila collections delete-items shoes --filter '{"season": 2019}'
    """
    if (conditions is None) != everything:
        raise WrongUsage("give exactly one of --filter and --all")
    matching = read_filter(conditions)
    with connect(url) as client:
        if not yes:
            typer.confirm(f"Delete {client.count(name, matching)} items of {name}?", abort=True)
        deleted = client.delete_items(name, filter=matching, everything=everything)
    tables.answer({"deleted": deleted}, lambda: tables.show(f"deleted {deleted} items"))


@app.command()
def index(
    name: NameArgument,
    key: Annotated[str, typer.Argument(help="A key of the payloads, with dots for nested ones.")],
    drop: Annotated[bool, typer.Option("--drop", help="Keep that index no longer.")] = False,
    url: UrlOption = None,
) -> None:
    """Make filters on a payload key quick.

    simila collections index shoes price
    """
    with connect(url) as client:
        if drop:
            client.delete_payload_index(name, key)
        else:
            client.create_payload_index(name, key)
    words = f"{name}: {key} is {'no longer ' if drop else ''}indexed"
    tables.answer({"name": name, "key": key, "indexed": not drop}, lambda: tables.show(words))


def _show_all(collections: tuple[Collection, ...]) -> None:
    if not collections:
        tables.show(
            "no collections yet; create one with: simila collections create NAME --encoder E", style=tables.MUTED
        )
        return
    table = tables.table(
        tables.column("name"),
        tables.column("encoder"),
        tables.column("dimension", justify="right"),
        tables.column("items", justify="right"),
        tables.column("labels", justify="right"),
        tables.column("state"),
    )
    for one in collections:
        labels = None if one.labels is None else len(one.labels)
        row = (one.name, one.encoder, one.dimension, one.items, labels, one.state)
        table.add_row(*("" if value is None else str(value) for value in row))
    tables.show(table)


def _show_one(collection: Collection) -> None:
    table = tables.table(tables.column("", style=tables.MUTED), tables.column(""), show_header=False)
    facts = asdict(collection)
    labels = facts.pop("labels") or {}
    indexed = ", ".join(facts.pop("payload_indexes"))
    searched = {f"index {name}": fact for name, fact in (facts.pop("index") or {}).items()}
    for name, fact in {**facts, "payload_indexes": indexed or None, **searched}.items():
        if fact is not None:
            table.add_row(name.replace("_", " "), str(fact))
    for position, (label, items) in enumerate(sorted(labels.items())):
        table.add_row("labels" if position == 0 else "", f"{label}  {items}")
    tables.show(table)
