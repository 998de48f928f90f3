"""`simila embed`: texts, image files and JSON Lines files to vectors."""

import io
import sys
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import orjson
import typer

from simila.cli import tables
from simila.cli.connection import UrlOption, connect
from simila.cli.errors import WrongUsage
from simila.cli.inputs import ImageOption, NamedInput, read_inputs, request_batches
from simila_client import Embeddings

SHOWN_VALUES = 5


JSON_LINES_SUFFIXES = frozenset({".jsonl", ".ndjson"})


class Format(StrEnum):
    JSON = "json"
    NPY = "npy"
    PARQUET = "parquet"


OF_SUFFIX = {".parquet": Format.PARQUET, ".npy": Format.NPY}


Batch = tuple[list[NamedInput], Embeddings]


def embed(
    model: Annotated[str, typer.Option(help="The encoder; `simila models list` names them.")],
    texts: Annotated[
        list[str] | None, typer.Argument(help="Texts; - reads one a line from stdin. Or one FILE.jsonl, with --output.")
    ] = None,
    images: ImageOption = None,
    output_format: Annotated[
        Format | None,
        typer.Option("--format", help="A JSON line an input, a float32 array, or Parquet; by default as FILE ends."),
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

    The lines of FILE.jsonl have text, or image (a file), and id, label and payload if you like. What was interrupted
    goes on when the command is given again, and `simila collections import` takes the result.
    """
    output_format = output_format or OF_SUFFIX.get(output.suffix.lower() if output else "")
    if output_format is Format.PARQUET:
        _embed_file(texts, images, model, output, url)
        return
    to_terminal = output is None and sys.stdout.isatty()
    if output_format is Format.NPY and to_terminal:
        raise WrongUsage("npy is binary; give --output FILE, or pipe it")
    inputs = read_inputs(texts, images)
    with connect(url) as client:
        batches = (
            (batch, client.embed([one.content for one in batch], model=model))
            for batch in request_batches(inputs, size_bytes=lambda one: len(one.content))
        )
        if output_format is None and to_terminal:
            _show(list(batches))
        else:
            _write(_npy(batches) if output_format is Format.NPY else _json_lines(batches), output)


def _embed_file(
    texts: list[str] | None, images: list[Path] | None, model: str, output: Path | None, url: str | None
) -> None:
    source = Path(texts[0]) if texts else Path()
    if images or output is None or len(texts or ()) != 1 or source.suffix.lower() not in JSON_LINES_SUFFIXES:
        raise WrongUsage("Parquet is made of one file: simila embed FILE.jsonl -o FILE.parquet")
    # pyarrow takes a quarter of a second to import, and only this needs it.
    from simila.cli.embed_file import embed_file  # noqa: PLC0415

    with connect(url) as client:
        embed_file(client, source, output, model)


def _write(chunks: Iterable[bytes], output: Path | None) -> None:
    if output:
        # Joined first, so that a request that fails half-way leaves no half file.
        output.write_bytes(b"".join(chunks))
        return
    for chunk in chunks:
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()


def _json_lines(batches: Iterable[Batch]) -> Iterator[bytes]:
    for inputs, embeddings in batches:
        for one, vector, truncated in zip(inputs, embeddings.vectors, embeddings.truncated, strict=True):
            line = {"input": one.name, "dimension": vector.size, "embedding": vector}
            line |= {"truncated": True} if truncated else {}
            yield orjson.dumps(line, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)


def _npy(batches: Iterable[Batch]) -> Iterator[bytes]:
    # numpy asks a real file for its position, which a pipe does not have.
    file = io.BytesIO()
    np.save(file, np.concatenate([embeddings.vectors for _, embeddings in batches]))
    yield file.getvalue()


def _show(batches: list[Batch]) -> None:
    table = tables.table(
        tables.column("input"),
        tables.column("dimension", justify="right"),
        tables.column(f"first {SHOWN_VALUES} values", style=tables.MUTED, no_wrap=True),
        tables.column(""),
    )
    for inputs, embeddings in batches:
        for one, vector, truncated in zip(inputs, embeddings.vectors, embeddings.truncated, strict=True):
            values = " ".join(f"{value:7.4f}" for value in vector[:SHOWN_VALUES])
            table.add_row(one.name, str(vector.size), values, "truncated" if truncated else "")
    tables.show(table)
    tokens = sum(embeddings.total_tokens for _, embeddings in batches)
    tables.show(f"{batches[0][1].model}, {tokens} tokens", style=tables.MUTED)
