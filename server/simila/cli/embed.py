"""`simila embed`: texts, image files and JSON Lines files to vectors."""

import io
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from simila.cli import tables
from simila.cli.connection import UrlOption, connect
from simila.cli.embed_rows import Answer, embedded, json_line
from simila.cli.errors import WrongUsage
from simila.cli.failures import Failures
from simila.cli.inputs import ImageOption
from simila.cli.rows import RowsArgument, Stdin, StdinOption, is_json_lines, read_rows
from simila_client.batches import joined

SHOWN_VALUES = 5


class Format(StrEnum):
    JSON = "json"
    NPY = "npy"
    PARQUET = "parquet"


OF_SUFFIX = {".parquet": Format.PARQUET, ".npy": Format.NPY}


def embed(
    model: Annotated[str, typer.Option(help="The encoder; `simila models list` names them.")],
    texts: RowsArgument = None,
    images: ImageOption = None,
    stdin: StdinOption = Stdin.TEXT,
    output_format: Annotated[
        Format | None,
        typer.Option(
            "--format", help="JSON lines, one float32 array, or Parquet; by default as FILE ends, else JSON lines."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write here, not to stdout.")
    ] = None,
    url: UrlOption = None,
) -> None:
    """Turn texts and images into vectors.

    simila embed "a red dress" --model all-minilm-l6-v2

    cat lines.txt | simila embed - --model all-minilm-l6-v2 > vectors.jsonl

    simila embed FILE.jsonl -o vectors.parquet --model all-minilm-l6-v2

    zcat lines.jsonl.gz | simila embed - --stdin jsonl --model all-minilm-l6-v2 -o vectors.parquet

    A line of JSON: {"text": "…"} or {"image": "FILE"}, with id, label, payload if you like.

    An input that fails has an error in place of its vector; others go on, and the exit code is 3.

    What was interrupted on its way to a FILE goes on when the command is given again.

    `simila collections import` takes Parquet and JSON lines.
    """
    output_format = output_format or OF_SUFFIX.get(output.suffix.lower() if output else "")
    if output is None and output_format is Format.PARQUET:
        raise WrongUsage("Parquet needs --output FILE")
    to_terminal = output is None and tables.is_terminal()
    if to_terminal and output_format is Format.NPY:
        raise WrongUsage("npy is binary; give --output FILE, or pipe it")
    rows, failures = read_rows(texts, images, stdin), Failures()
    with connect(url) as client:
        if output:
            # pyarrow takes a quarter of a second to import, and only this needs it.
            from simila.cli.embed_file import WRITERS, embed_file  # noqa: PLC0415

            writer = WRITERS[output_format or Format.JSON]
            embed_file(client, rows, output, model, writer=writer, total=_count(texts), failures=failures)
        else:
            _print(failures.told(embedded(client, rows, model)), output_format, to_terminal=to_terminal)
    failures.finish()


def _count(texts: list[str] | None) -> int | None:
    """How many rows there are, where that is known before all are read."""
    if not texts or not is_json_lines(texts[0]):
        return None
    with Path(texts[0]).open("rb") as file:
        return sum(1 for line in file if line.strip())


def _print(answers: Iterator[Answer], output_format: Format | None, *, to_terminal: bool) -> None:
    if output_format is Format.NPY:
        sys.stdout.buffer.write(_npy(answers))
    elif output_format is None and to_terminal:
        _show(answers)
    else:
        _write_lines(answers)


def _write_lines(answers: Iterator[Answer]) -> None:
    for answer in answers:
        embeddings = answer.embeddings
        for at, row in enumerate(answer.rows):
            line = json_line(
                row, vector=embeddings.vectors[at], truncated=embeddings.truncated[at], error=answer.error(at)
            )
            sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()


def _npy(answers: Iterator[Answer]) -> bytes:
    # numpy asks a real file for its position, which a pipe does not have.
    file = io.BytesIO()
    np.save(file, joined([answer.embeddings for answer in answers]).vectors)
    return file.getvalue()


def _show(answers: Iterator[Answer]) -> None:
    table = tables.table(
        tables.column("input"),
        tables.column("dimension", justify="right"),
        tables.column(f"first {SHOWN_VALUES} values", style=tables.MUTED, no_wrap=True),
        tables.column(""),
    )
    model, tokens = "", 0
    for answer in answers:
        embeddings = answer.embeddings
        model, tokens = embeddings.model, tokens + embeddings.total_tokens
        for at, row in enumerate(answer.rows):
            if error := answer.error(at):
                table.add_row(row.name, "", "", error)
                continue
            values = " ".join(f"{value:7.4f}" for value in embeddings.vectors[at, :SHOWN_VALUES])
            table.add_row(
                row.name, str(embeddings.vectors.shape[1]), values, "truncated" if embeddings.truncated[at] else ""
            )
    tables.show(table)
    tables.show(f"{model}, {tokens} tokens", style=tables.MUTED)
