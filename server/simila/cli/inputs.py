"""Image files from the command line, and inputs cut into requests."""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from simila.cli.errors import WrongUsage
from simila_client import ApiError

INPUTS_PER_REQUEST = 64
BYTES_PER_REQUEST = 16 * 2**20

ImageOption = Annotated[list[Path] | None, typer.Option("--image", metavar="FILE", help="An image file; repeatable.")]

# How the server names an input; people know it by its text or file.
_WIRE_NAME = re.compile(r"^input\[\d+\](\.\w+)*: ")

T = TypeVar("T")


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


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        WrongUsage: it cannot be read, or is not UTF-8.

    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise WrongUsage(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise WrongUsage(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from error


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
