"""`simila collections migrate`: another encoder for a collection that serves."""

import time
from dataclasses import asdict
from typing import Annotated

import typer

from simila.cli import tables
from simila.cli.collections import NameArgument
from simila.cli.connection import UrlOption, connect
from simila.cli.errors import FAILED, print_error
from simila.cli.progress_bars import ProgressBars

POLL_SECONDS = 0.5


def migrate(
    name: NameArgument,
    encoder: Annotated[str, typer.Option(metavar="ENCODER", help="The encoder to embed all items with again.")],
    wait: Annotated[bool, typer.Option(help="Wait until it is done.")] = True,
    url: UrlOption = None,
) -> None:
    """Move a collection into another encoder's space; it serves meanwhile, and switches when all is embedded.

    simila collections migrate shoes --encoder efficientnet-lite2

    The collection must keep its sources: it was created with --store-inputs.
    """
    with connect(url) as client, ProgressBars() as bars:
        migration = client.migrate(name, encoder)
        while migration.state == "running" and wait:
            bars.step(f"embedding with {encoder}", migration.items_done, migration.items_total, unit="steps")
            time.sleep(POLL_SECONDS)
            migration = client.migration(name) or migration
    if migration.state == "failed":
        print_error(f"{name} stays as it was: {migration.error}")
        raise typer.Exit(FAILED)
    done = "has" if migration.state == "done" else "will have"
    words = f"{name}: {migration.items_total} items; the collection {done} the encoder {encoder}"
    tables.answer({"name": name, **asdict(migration)}, lambda: tables.show(words))
