"""How results look in a terminal: aligned columns, quiet colours, nothing that a pipe would have to strip."""

import json
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Annotated, Any, Literal

import typer
from rich.console import Console, RenderableType
from rich.style import StyleType
from rich.table import Column
from rich.table import Table as RichTable

MUTED = "dim"
ACCENT = "cyan"
PIPE_COLUMNS = 400

# What a terminal obeys rather than shows (controls but tab and newline, directions of writing), or UTF-8 cannot carry.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document; a pipe gets JSON lines by itself.")]


class Table(RichTable):
    """A table whose texts come from people: a cell of text is one line in which nothing moves the cursor."""

    def add_row(
        self, *renderables: RenderableType | None, style: StyleType | None = None, end_section: bool = False
    ) -> None:
        cells = (printable(cell).replace("\n", r"\u000a") if isinstance(cell, str) else cell for cell in renderables)
        super().add_row(*cells, style=style, end_section=end_section)


def printable(text: str) -> str:
    """`text` with what a terminal would obey, and lone surrogates, as JSON's escapes; newlines and tabs stay."""
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def is_terminal() -> bool:
    """Whether people read standard output, in a terminal or, says TTY_COMPATIBLE=1 as rich has it, behind a pipe."""
    return Console().is_terminal


def console() -> Console:
    """Standard output as it is now. Names and labels come from people, so nothing in them is markup.

    A pipe gets a row on one line: whoever reads there counts lines, not columns.
    """
    if sys.stdout.isatty():
        return Console(markup=False, highlight=False, emoji=False)
    return Console(markup=False, highlight=False, emoji=False, width=PIPE_COLUMNS, force_terminal=False)


def column(
    header: str, *, justify: Literal["left", "right"] = "left", style: str = "", no_wrap: bool = False
) -> Column:
    """A column that, where the terminal is narrow, wraps rather than hides what it holds."""
    return Column(header, justify=justify, style=style, no_wrap=no_wrap, overflow="fold")


def table(*columns: Column, show_header: bool = True) -> Table:
    return Table(*columns, box=None, header_style="bold", show_header=show_header, pad_edge=False, padding=(0, 3, 0, 0))


def show(thing: RenderableType, *, style: str | None = None) -> None:
    if isinstance(thing, str):
        console().print(printable(thing), style=style, soft_wrap=True)
    else:
        console().print(thing, style=style)


def show_json(thing: Any) -> None:
    """Indented JSON for programs, of dataclasses too. Integers may be of any size, as JSON's are."""
    typer.echo(printable(json.dumps(thing, indent=2, ensure_ascii=False, default=asdict)))


def show_line(thing: Any) -> None:
    """The same on one line, for pipes."""
    typer.echo(printable(json.dumps(thing, ensure_ascii=False, default=asdict)))


def answer(
    found: Any, show_people: Callable[[], None], *, as_json: bool = False, lines: Iterable[Any] | None = None
) -> None:
    """What a command found: JSON where it was asked for, JSON lines in a pipe (`lines`, or all in one), or a table."""
    if as_json:
        show_json(found)
    elif is_terminal():
        show_people()
    else:
        for line in [found] if lines is None else lines:
            show_line(line)
