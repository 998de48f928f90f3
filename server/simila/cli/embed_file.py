"""A JSON Lines file to a Parquet file of vectors, in parts, so that an interrupt costs one of them and no more.

Apart from `embed`, because pyarrow takes long to import.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from simila.cli.errors import INTERRUPTED, WrongUsage, stop
from simila.cli.rate_bar import RateBar
from simila_client import Embeddings, NotFound, Simila, Source

PART_ROWS = 4096
ORIGIN = "origin.json"


@dataclass(frozen=True)
class Row:
    """A line of the file: what to embed, and what `simila collections import` reads beside its vector."""

    id: str
    content: Source
    label: str | None
    payload: str | None  # JSON


def embed_file(client: Simila, source: Path, target: Path, model: str) -> None:
    """Embed the lines of `source` into `target`, going on where an earlier run was cut.

    Raises:
        WrongUsage: a line is not of the form, or the parts that are there came from another file or encoder.

    """
    folder = target.with_name(f".{target.name}.parts")
    fingerprint = _fingerprint(client, model)
    _begin(folder, source, fingerprint)
    done_parts = len(list(folder.glob("*.parquet")))
    with source.open("rb") as file:
        total = sum(1 for line in file if line.strip())
    try:
        with RateBar(f"embed {source.name}", total, "rows", done=min(total, done_parts * PART_ROWS)) as bar:
            rows = islice(_rows(source), done_parts * PART_ROWS, None)
            for number, part in enumerate(_parts(rows), start=done_parts):
                _write_part(folder / f"{number:08}.parquet", part, _embedded(client, part, model, bar))
    except KeyboardInterrupt:
        stop("interrupted; the same command goes on from here", INTERRUPTED)
    _join(folder, target, fingerprint)


def _fingerprint(client: Simila, model: str) -> str:
    for one in client.models():
        if model in (one.id, *one.aliases):
            return one.fingerprint
    raise NotFound(f"there is no encoder '{model}'", status=404)


def _begin(folder: Path, source: Path, fingerprint: str) -> None:
    status = source.stat()
    origin = {"bytes": status.st_size, "changed": status.st_mtime_ns, "fingerprint": fingerprint}
    note = folder / ORIGIN
    if not any(folder.glob("*.parquet")):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        note.write_text(json.dumps(origin))
    elif json.loads(note.read_text()) != origin:
        raise WrongUsage(f"{folder} holds parts of another file or encoder; delete it to begin again")


def _rows(source: Path) -> Iterator[Row]:
    with source.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _row(line, f"{source}, line {number}", str(number))


def _row(line: bytes, place: str, default_id: str) -> Row:
    try:
        found: Any = json.loads(line)
        if isinstance(found, str):
            return Row(default_id, found, None, None)
        content: Source = Path(found["image"]) if "image" in found else found["text"]
        if not isinstance(content, str | Path):
            raise TypeError("text is no text")
        payload = found.get("payload")
        return Row(
            str(found.get("id", default_id)),
            content,
            found.get("label"),
            None if payload is None else json.dumps(payload, ensure_ascii=False),
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        form = '{"text": "..."} or {"image": "FILE"}, with id, label and payload if you like'
        raise WrongUsage(f"{place}: not of the form {form} ({error})") from error


def _parts(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while part := list(islice(rows, PART_ROWS)):
        yield part


def _embedded(client: Simila, part: Sequence[Row], model: str, bar: RateBar) -> Embeddings:
    shown = 0

    def on_progress(done: int, _total: int) -> None:
        nonlocal shown
        bar.advance(done - shown)
        shown = done

    return client.embed([row.content for row in part], model=model, on_progress=on_progress)


def _write_part(path: Path, rows: Sequence[Row], embeddings: Embeddings) -> None:
    vectors = embeddings.vectors
    table = pa.table(
        {
            "id": pa.array([row.id for row in rows], pa.string()),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1]),
            "label": pa.array([row.label for row in rows], pa.string()),
            "payload": pa.array([row.payload for row in rows], pa.string()),
        }
    )
    unfinished = path.with_suffix(".unfinished")
    pq.write_table(table, unfinished)
    unfinished.replace(path)


def _join(folder: Path, target: Path, fingerprint: str) -> None:
    parts = sorted(folder.glob("*.parquet"))
    if not parts:
        shutil.rmtree(folder)
        raise WrongUsage("the file has no lines")
    schema = pq.read_schema(parts[0]).with_metadata({"simila.fingerprint": fingerprint})
    joined = folder / "joined.unfinished"
    with pq.ParquetWriter(joined, schema) as writer:
        for part in parts:
            writer.write_table(pq.read_table(part).cast(schema))
    with joined.open("rb") as file:
        os.fsync(file.fileno())
    joined.replace(target)
    shutil.rmtree(folder)
