"""Texts and image files from the command line."""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from simila.cli.errors import WrongUsage
from simila.cli.tables import printable
from simila_client import ApiError, InvalidArgument

INPUTS_PER_REQUEST = 64
BYTES_PER_REQUEST = 16 * 2**20

TextArgument = Annotated[
    list[str] | None, typer.Argument(metavar="TEXT|-", help="Texts; - reads one a line from stdin.")
]
ImageOption = Annotated[list[Path] | None, typer.Option("--image", metavar="FILE", help="An image file; repeatable.")]

# How the server names an input; people know it by its text or file.
_WIRE_NAME = re.compile(r"^input\[\d+\](\.\w+)*: ")

T = TypeVar("T")


@dataclass(frozen=True)
class NamedInput:
    """A text, which is its own name, or an image under its file name.

    A `content` that is an error is that of a line that is no text.
    """

    name: str
    content: str | Path | InvalidArgument

    @property
    def size_bytes(self) -> int:
        """About how much of a request it takes."""
        if isinstance(self.content, Path):
            return self.content.stat().st_size
        return len(self.content) if isinstance(self.content, str) else 0


def read_inputs(texts: Sequence[str] | None, images: Sequence[Path] | None) -> Iterator[NamedInput]:
    """All inputs in the order of the command line, texts first; stdin is read as they are asked for.

    Raises:
        WrongUsage: an image file cannot be read; and when they are asked for: there is none, or a text is not UTF-8.

    """
    paths = [readable(path, "image") for path in images or ()]
    return _inputs(texts or (), paths)


def _inputs(texts: Sequence[str], images: Sequence[Path]) -> Iterator[NamedInput]:
    is_empty = True
    for one in _typed(texts, images):
        is_empty = False
        yield one
    if is_empty:
        raise WrongUsage("give a text, - for texts from stdin, or --image FILE")


def _typed(texts: Sequence[str], images: Sequence[Path]) -> Iterator[NamedInput]:
    for text in texts:
        yield from stdin_texts() if text == "-" else [text_input(text)]
    yield from (NamedInput(printable(str(path)), path) for path in images)


def text_input(text: str) -> NamedInput:
    """A text that was typed.

    Raises:
        WrongUsage: it is not UTF-8.

    """
    # The shell's stray bytes arrive as surrogates, which JSON in UTF-8 cannot carry.
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise WrongUsage(f"text {text!r} is not UTF-8")
    return NamedInput(text, text)


def stdin_texts() -> Iterator[NamedInput]:
    """The lines of stdin that are not empty, as they come; one that is not UTF-8 is an error of its own."""
    for number, line in enumerate(sys.stdin.buffer, start=1):
        try:
            text = line.decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            place = f"stdin, line {number}"
            why = f"{place}: not UTF-8 ({error.reason} at byte {error.start})"
            yield NamedInput(place, InvalidArgument(why))
            continue
        if text.strip():
            yield NamedInput(text, text)


def readable(path: Path, what: str) -> Path:
    """The path of a file that can be read.

    Raises:
        WrongUsage: it cannot.

    """
    try:
        path.open("rb").close()
    except OSError as error:
        raise WrongUsage(f"{what} {path}: {error.strerror}") from error
    return path


def read_image(path: Path) -> bytes:
    """The bytes of an image file, not decoded: the server does that.

    Raises:
        WrongUsage: the file cannot be read.

    """
    return readable(path, "image").read_bytes()


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


def without_name(message: str) -> str:
    """What the server says of an input, without the name that it has in the request."""
    return _WIRE_NAME.sub("", message)


def names_input(error: ApiError) -> bool:
    """Whether an error is about one input, not about the request."""
    return _WIRE_NAME.match(error.message) is not None
