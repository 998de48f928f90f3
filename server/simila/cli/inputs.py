"""Texts and image files from the command line."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from simila.cli.errors import WrongUsage
from simila.cli.tables import printable
from simila_client import Input

INPUTS_PER_REQUEST = 64
BYTES_PER_REQUEST = 16 * 2**20

TextArgument = Annotated[list[str] | None, typer.Argument(help="Texts; - reads one a line from stdin.")]
ImageOption = Annotated[list[Path] | None, typer.Option("--image", metavar="FILE", help="An image file; repeatable.")]

T = TypeVar("T")


@dataclass(frozen=True)
class NamedInput:
    """A text, which is its own name, or an image under its file name."""

    name: str
    content: Input


def read_inputs(texts: Sequence[str] | None, images: Sequence[Path] | None) -> list[NamedInput]:
    """All inputs in the order of the command line, texts first.

    Raises:
        WrongUsage: there is none, a text is not UTF-8, or an image file cannot be read.

    """
    inputs = [_text_input(line) for text in texts or () for line in (_stdin_lines() if text == "-" else [text])]
    inputs += [NamedInput(printable(str(path)), read_image(path)) for path in images or ()]
    if not inputs:
        raise WrongUsage("give a text, - for texts from stdin, or --image FILE")
    return inputs


def read_image(path: Path) -> bytes:
    """The bytes of an image file, not decoded: the server does that.

    Raises:
        WrongUsage: the file cannot be read.

    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise WrongUsage(f"image {path}: {error.strerror}") from error


def request_batches(
    things: Iterable[T], *, size_bytes: Callable[[T], int], max_items: int = INPUTS_PER_REQUEST
) -> Iterator[list[T]]:
    """Cut into lists that fit one request; a thing too large for any has a list of its own."""
    batch: list[T] = []
    batch_bytes = 0
    for thing in things:
        size = size_bytes(thing)
        if batch and (len(batch) == max_items or batch_bytes + size > BYTES_PER_REQUEST):
            yield batch
            batch, batch_bytes = [], 0
        batch.append(thing)
        batch_bytes += size
    if batch:
        yield batch


def _text_input(text: str) -> NamedInput:
    # The shell's stray bytes arrive as surrogates, which JSON in UTF-8 cannot carry.
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise WrongUsage(f"text {text!r} is not UTF-8")
    return NamedInput(text, text)


def _stdin_lines() -> list[str]:
    try:
        return [line for line in sys.stdin.read().splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise WrongUsage(f"stdin is not UTF-8: {error.reason} at byte {error.start}") from error
