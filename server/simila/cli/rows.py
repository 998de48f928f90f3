"""Inputs, a row at a time: what was typed, lines of stdin, JSON Lines files."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from simila.cli.errors import WrongUsage, print_warning
from simila.cli.inputs import readable
from simila.cli.tables import printable
from simila_client import InvalidArgument

STDIN = "-"
JSON_LINES_SUFFIXES = frozenset({".jsonl", ".ndjson"})
FORM = '{"text": "..."} or {"image": "FILE"}, with id, label and payload if you like'


class Stdin(StrEnum):
    """What stdin holds; nothing is guessed of its lines, because a text may look like JSON."""

    TEXT = "text"
    JSON_LINES = "jsonl"


RowsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="TEXT|-|FILE.jsonl", help="Texts; - reads one a line from stdin; or one file of inputs."),
]
StdinOption = Annotated[
    Stdin, typer.Option("--stdin", help='What - reads: a text a line, or JSON: {"text": "…"} or {"image": "FILE"}.')
]


@dataclass(frozen=True)
class Row:
    """A text, or an image of a file, under its id and its own name.

    Label and payload are what `simila collections import` reads beside its vector. A `content` that is an error is that
    of a row that could not be read.
    """

    id: str
    name: str
    content: str | Path | InvalidArgument
    label: str | None = None
    payload: str | None = None  # JSON

    @property
    def size_bytes(self) -> int:
        """About how much of a request it takes."""
        if isinstance(self.content, Path):
            return self.content.stat().st_size
        return len(self.content) if isinstance(self.content, str) else 0


def read_rows(
    texts: Sequence[str] | None, images: Sequence[Path] | None = None, stdin: Stdin = Stdin.TEXT
) -> Iterator[Row]:
    """All inputs in the order of the command line, texts first, read as they are asked for.

    Raises:
        WrongUsage: a file that was typed cannot be read, or `stdin` says what is not read; and when they are asked for:
            there is none, or a text that was typed is not UTF-8.

    """
    texts, images = texts or (), images or ()
    of_stdin = stdin is Stdin.JSON_LINES
    if of_stdin and STDIN not in texts:
        raise WrongUsage("--stdin jsonl says what - reads: give -")
    if not of_stdin and not any(is_json_lines(text) for text in texts):
        return _numbered(texts, [readable(path, "image") for path in images])
    if len(texts) > 1 or images:
        raise WrongUsage("JSON Lines have all inputs; give nothing beside them")
    return _json_rows(sys.stdin.buffer, "stdin") if of_stdin else _file_rows(readable(Path(texts[0]), "file"))


def is_json_lines(text: str) -> bool:
    """Whether a text on the command line is meant as a file of JSON Lines."""
    return Path(text).suffix.lower() in JSON_LINES_SUFFIXES


def _numbered(texts: Sequence[str], images: Sequence[Path]) -> Iterator[Row]:
    number = 0
    for number, (name, content) in enumerate(_typed(texts, images), start=1):
        yield Row(str(number), name, content)
    if not number:
        raise WrongUsage("give a text, - for texts from stdin, or --image FILE")


def _typed(texts: Sequence[str], images: Sequence[Path]) -> Iterator[tuple[str, str | Path | InvalidArgument]]:
    for text in texts:
        if text == STDIN:
            yield from _stdin_texts()
        else:
            yield text, _typed_text(text)
    yield from ((printable(str(path)), path) for path in images)


def _typed_text(text: str) -> str:
    # The shell's stray bytes arrive as surrogates, which JSON in UTF-8 cannot carry.
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise WrongUsage(f"text {text!r} is not UTF-8")
    if Path(text).suffix and Path(text).is_file():
        print_warning(f"{text} is a file, whose name is taken as a text; for its lines give: - < {text}")
    return text


def _stdin_texts() -> Iterator[tuple[str, str | InvalidArgument]]:
    """The lines of stdin that are not empty, as they come; one that is not UTF-8 is an error of its own."""
    for number, line in enumerate(sys.stdin.buffer, start=1):
        try:
            text = line.decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            place = f"stdin, line {number}"
            yield place, InvalidArgument(f"{place}: not UTF-8 ({error.reason} at byte {error.start})")
            continue
        if text.strip():
            yield text, text


def _file_rows(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        yield from _json_rows(file, str(path))


def _json_rows(lines: Iterable[bytes], source: str) -> Iterator[Row]:
    is_empty = True
    for number, line in enumerate(lines, start=1):
        if line.strip():
            is_empty = False
            yield _json_row(line, f"{source}, line {number}", str(number))
    if is_empty:
        raise WrongUsage(f"{source} has no lines")


def _json_row(line: bytes, place: str, default_id: str) -> Row:
    try:
        found: Any = json.loads(line)
        if isinstance(found, str):
            return _text_row(default_id, found)
        row_id, label, payload = str(found.get("id", default_id)), found.get("label"), found.get("payload")
        if not isinstance(label, str | None):
            raise TypeError("label is no text")
        row = _image_row(row_id, found["image"]) if "image" in found else _text_row(row_id, found["text"])
        payload_json = None if payload is None else json.dumps(payload, ensure_ascii=False)
        return Row(row.id, row.name, row.content, label, payload_json)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        return Row(default_id, place, InvalidArgument(f"{place}: not of the form {FORM} ({error})"))


def _image_row(row_id: str, path: Any) -> Row:
    try:
        content: Path | InvalidArgument = readable(Path(path), "image")
    except WrongUsage as error:
        content = InvalidArgument(str(error))
    return Row(row_id, printable(path), content)


def _text_row(row_id: str, text: Any) -> Row:
    if not isinstance(text, str):
        raise TypeError("text is no text")
    text.encode()  # JSON's escapes can say a lone surrogate, which is no text
    return Row(row_id, text, text)
