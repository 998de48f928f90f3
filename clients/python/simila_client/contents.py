"""What callers hand over, as the wire carries it: files read, pictures encoded, addresses fetched."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

import httpx
import numpy as np

from simila_client.errors import InvalidArgument
from simila_client.results import Example, ImageUrl, Input, Item

FETCH_TIMEOUT_SECONDS = 30
MOST_FETCHED_BYTES = 64 * 2**20
# What an address holds is not known before it is fetched: about a photograph.
ASSUMED_FETCHED_BYTES = 2**20

T = TypeVar("T")


def read_all(things: Iterable[T]) -> list[T]:
    """Each with its content read; see `read`."""
    return [read(thing) for thing in things]


def read(thing: T) -> T:
    """A content, item or example with its picture as bytes; texts, vectors and ids stay what they are.

    Raises:
        InvalidArgument: a file cannot be read, an address not fetched, or an array is no picture.

    """
    if isinstance(thing, Item | Example):
        return cast("T", replace(thing, content=read(thing.content)))
    return cast("T", _read(thing))


def read_input(source: Any) -> Input:
    """A text or the bytes of a picture; `InvalidArgument` as in `read`, and for anything else."""
    content = read(source)
    if not isinstance(content, str | bytes):
        raise InvalidArgument(f"a {type(source).__name__} is neither a text nor a picture")
    return content


def size_bytes(source: Any) -> int:
    """About how many bytes a source takes in a request."""
    if isinstance(source, str | bytes):
        return len(source)
    if isinstance(source, Path):
        return source.stat().st_size if source.is_file() else 0
    if isinstance(source, np.ndarray):
        return source.nbytes
    if isinstance(source, InvalidArgument):
        return 0
    width, height = getattr(source, "size", (0, 0))  # Pillow's
    return 3 * width * height or ASSUMED_FETCHED_BYTES


def _read(content: Any) -> Any:
    if isinstance(content, str | bytes):
        return content
    if isinstance(content, InvalidArgument):
        raise content
    if isinstance(content, Path):
        return _file(content)
    if isinstance(content, ImageUrl):
        return _fetched(content.url)
    is_picture = content.ndim > 1 if isinstance(content, np.ndarray) else type(content).__module__.startswith("PIL.")
    if not is_picture:
        return content
    # Pillow takes 40 ms to import, and only those who hand over pictures need it.
    from simila_client.pictures import png  # noqa: PLC0415

    return png(content)


def _file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidArgument(f"image {path}: {error.strerror}") from error


def _fetched(url: str) -> bytes:
    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=FETCH_TIMEOUT_SECONDS) as answer:
            answer.raise_for_status()
            content = b""
            for piece in answer.iter_bytes():
                content += piece
                if len(content) > MOST_FETCHED_BYTES:
                    raise InvalidArgument(f"image {url}: more than {MOST_FETCHED_BYTES} bytes")
            return content
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise InvalidArgument(f"image {url}: {error}") from error
