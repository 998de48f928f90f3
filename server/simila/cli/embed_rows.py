"""What `simila embed` is given, a row at a time: what was typed, lines of stdin, JSON Lines files."""

import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from simila.cli.errors import WrongUsage, print_warning
from simila.cli.inputs import read_inputs, readable, without_name
from simila.cli.tables import printable
from simila_client import Embeddings, InvalidArgument, Simila, Source
from simila_client.batches import BATCH_ITEMS

JSON_LINES_SUFFIXES = frozenset({".jsonl", ".ndjson"})
FORM = '{"text": "..."} or {"image": "FILE"}, with id, label and payload if you like'


@dataclass(frozen=True)
class Row:
    """An input, under its id and its own name, and what `simila collections import` reads beside its vector.

    A `content` that is an error is that of a row that could not be read.
    """

    id: str
    name: str
    content: Source
    label: str | None = None
    payload: str | None = None  # JSON


@dataclass(frozen=True)
class Answer:
    """Rows and their vectors, in order."""

    rows: Sequence[Row]
    embeddings: Embeddings

    def error(self, at: int) -> str | None:
        """Why a row has no vector."""
        found = self.embeddings.errors.get(at)
        return None if found is None else without_name(found.message)


def read_rows(texts: Sequence[str], images: Sequence[Path]) -> Iterator[Row]:
    """All inputs in the order of the command line, texts first, read as they are asked for.

    Raises:
        WrongUsage: a file that was typed cannot be read; and when they are asked for: there is none, or a text that was
            typed is not UTF-8.

    """
    if not any(is_json_lines(text) for text in texts):
        return _numbered(texts, [readable(path, "image") for path in images])
    if len(texts) > 1 or images:
        raise WrongUsage("a FILE.jsonl has all inputs; give nothing beside it")
    return _file_rows(readable(Path(texts[0]), "file"))


def is_json_lines(text: str) -> bool:
    """Whether a text on the command line is meant as a file of JSON Lines."""
    return Path(text).suffix.lower() in JSON_LINES_SUFFIXES


def embedded(client: Simila, rows: Iterator[Row], model: str) -> Iterator[Answer]:
    """Embed rows batch by batch; one that fails is an error of its own.

    Raises:
        SimilaClientError: the server answers none of them.

    """
    under_way: deque[Row] = deque()

    def contents() -> Iterator[Source]:
        for row in rows:
            under_way.append(row)
            yield row.content

    for embeddings in client.embed_stream(contents(), model=model, on_error="partial", batch_items=BATCH_ITEMS):
        yield Answer([under_way.popleft() for _ in embeddings.vectors], embeddings)


def json_line(row: Row, *, vector: Any, truncated: bool, error: str | None) -> bytes:
    """A row as a line that `simila collections import` takes; `error` is in the place of the vector."""
    line: dict[str, Any] = {"id": row.id, "input": row.name}
    line |= {"vector": vector} if error is None else {"error": error}
    line |= {"truncated": True} if truncated else {}
    line |= {} if row.label is None else {"label": row.label}
    line |= {} if row.payload is None else {"payload": orjson.Fragment(row.payload)}
    return orjson.dumps(line, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)


def _numbered(texts: Sequence[str], images: Sequence[Path]) -> Iterator[Row]:
    for text in texts:
        if Path(text).suffix and Path(text).is_file():
            print_warning(f"{text} is a file, whose name is embedded; for its lines: simila embed - < {text}")
    for number, one in enumerate(read_inputs(texts, images), start=1):
        yield Row(str(number), one.name, one.content)


def _file_rows(source: Path) -> Iterator[Row]:
    is_empty = True
    with source.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                is_empty = False
                yield _row(line, f"{source}, line {number}", str(number))
    if is_empty:
        raise WrongUsage(f"file {source} has no lines")


def _row(line: bytes, place: str, default_id: str) -> Row:
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
    return Row(row_id, printable(path), Path(path))


def _text_row(row_id: str, text: Any) -> Row:
    if not isinstance(text, str):
        raise TypeError("text is no text")
    text.encode()  # JSON's escapes can say a lone surrogate, which is no text
    return Row(row_id, text, text)
