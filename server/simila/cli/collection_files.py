"""`simila collections backup`, `restore` and `export`: a whole collection as one file."""

from pathlib import Path
from typing import Annotated

import typer
from rich.filesize import decimal

from simila.cli import tables
from simila.cli.collections import NameArgument
from simila.cli.connection import UrlOption, connect
from simila.cli.errors import WrongUsage
from simila.cli.filters import FilterOption, read_filter
from simila.cli.progress_bars import ProgressBars

ForceOption = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]


def backup(
    name: NameArgument,
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    force: ForceOption = False,
    url: UrlOption = None,
) -> None:
    """Write a collection to one file, as it is at one moment, while it goes on serving.

    simila collections backup shoes shoes.backup
    """
    _check_target(file, force=force)
    with connect(url) as client, ProgressBars() as bars:
        client.back_up(name, file, on_bytes=lambda done, total: bars.step("download", done, total, unit="bytes"))
    _report(name, file, "backed up")


def restore(
    name: NameArgument,
    file: Annotated[Path, typer.Argument(help="A backup.", exists=True, dir_okay=False)],
    replace: Annotated[bool, typer.Option("--replace", help="Replace a collection of this name.")] = False,
    url: UrlOption = None,
) -> None:
    """Make a collection out of a backup, under any name; all of it is checked before anything changes.

    simila collections restore shoes-again shoes.backup
    """
    with connect(url) as client, ProgressBars() as bars:
        collection = client.restore(
            name, file, replace=replace, on_bytes=lambda done, total: bars.step("upload", done, total, unit="bytes")
        )
    words = f"{name}: {collection.items} items of {collection.encoder}, restored from {file}"
    tables.answer(collection, lambda: tables.show(words))


def export(
    name: NameArgument,
    file: Annotated[Path, typer.Argument(help="The Parquet file to write.")],
    filter_json: FilterOption = None,
    force: ForceOption = False,
    url: UrlOption = None,
) -> None:
    """Write a collection's items, with their vectors, to a Parquet file that `import` reads again.

    simila collections export shoes shoes.parquet --filter '{"price": {"$lt": 100}}'
    """
    _check_target(file, force=force)
    with connect(url) as client, ProgressBars() as bars:
        client.export(
            name,
            file,
            filter=read_filter(filter_json),
            on_bytes=lambda done, total: bars.step("download", done, total, unit="bytes"),
        )
    _report(name, file, "exported")


def _report(name: str, file: Path, done: str) -> None:
    size = file.stat().st_size
    words = f"{name}: {done} to {file} ({decimal(size)})"
    tables.answer({"name": name, "file": str(file), "bytes": size}, lambda: tables.show(words))


def _check_target(file: Path, *, force: bool) -> None:
    if file.exists() and not force:
        raise WrongUsage(f"{file} is there already; --force replaces it")
