"""How results look in a terminal: aligned columns, quiet colours, nothing that a pipe would have to strip."""

import sys
from typing import Annotated, Any, Literal

import orjson
import typer
from rich.console import Console, RenderableType
from rich.table import Column, Table

MUTED = "dim"
ACCENT = "cyan"
PIPE_COLUMNS = 400

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, not a table.")]


def console() -> Console:
    """Standard output as it is now. Names and labels come from people, so nothing in them is markup.

    A pipe gets a row on one line: whoever reads there counts lines, not columns.
    """
    width = None if sys.stdout.isatty() else PIPE_COLUMNS
    return Console(markup=False, highlight=False, emoji=False, width=width)


def column(
    header: str, *, justify: Literal["left", "right"] = "left", style: str = "", no_wrap: bool = False
) -> Column:
    """A column that, where the terminal is narrow, wraps rather than hides what it holds."""
    return Column(header, justify=justify, style=style, no_wrap=no_wrap, overflow="fold")


def table(*columns: Column, show_header: bool = True) -> Table:
    return Table(*columns, box=None, header_style="bold", show_header=show_header, pad_edge=False, padding=(0, 3, 0, 0))


def show(thing: RenderableType, *, style: str | None = None) -> None:
    console().print(thing, style=style, soft_wrap=isinstance(thing, str))


def show_json(thing: Any) -> None:
    """Indented JSON for programs; dataclasses and numpy arrays included."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    typer.echo(orjson.dumps(thing, option=options), nl=False)
