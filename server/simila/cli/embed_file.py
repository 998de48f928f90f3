"""Rows to a file of vectors, in parts, so that an interrupt costs one of them and no more.

Apart from `embed`, because pyarrow takes long to import.
"""

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from simila.cli.embed_rows import Answer, embedded, json_line
from simila.cli.errors import FAILED, INTERRUPTED, WrongUsage, stop
from simila.cli.failures import Failures
from simila.cli.rate_bar import RateBar
from simila.cli.rows import Row
from simila_client import Model, NotFound, Simila, SimilaClientError

PART_ROWS = 4096
PART_SECONDS = 10  # on a slow machine so many rows take long
# Of a part: the encoder that its vectors are of, and the hash of the rows that it was made of.
FINGERPRINT, ROWS_SHA256 = b"simila.fingerprint", b"simila.rows-sha256"
GOES_ON = "the same command goes on from here"


@dataclass(frozen=True)
class Parts:
    """Finished parts, in their order; `dimension` is of the vectors."""

    paths: Sequence[Path]
    fingerprint: str
    dimension: int

    def tables(self) -> Iterator[pa.Table]:
        return (pq.read_table(path) for path in self.paths)

    def rows(self) -> int:
        return sum(pq.read_metadata(path).num_rows for path in self.paths)


Writer = Callable[[Parts, Path], None]


def embed_file(
    client: Simila,
    rows: Iterator[Row],
    target: Path,
    model: str,
    *,
    writer: Writer,
    total: int | None,
    failures: Failures,
) -> None:
    """Embed `rows` into `target`, going on where an earlier run was cut; `total` is how many rows there are.

    Raises:
        WrongUsage: the parts that are there came from other rows or another encoder.
        OSError: there is no folder for `target`.

    """
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(target))
    encoder = _encoder(client, model)
    folder = target.with_name(f".{target.name}.parts")
    parts = sorted(folder.glob("*.parquet"))
    done = sum(_checked(folder, part, rows, encoder, failures) for part in parts)
    try:
        with RateBar(f"embed {target.name}", total, "rows", done=done) as bar:
            for number, part in enumerate(_parts(embedded(client, rows, model), bar, failures), start=len(parts)):
                _begin(folder, number)
                _write_part(folder / f"{number:08}.parquet", part, encoder)
        _join(folder, target, encoder, writer)
    except KeyboardInterrupt:
        stop(f"interrupted; {GOES_ON}", INTERRUPTED)
    except SimilaClientError as error:
        if not any(folder.glob("*.parquet")):
            raise
        stop(f"{error.message}; {GOES_ON}", FAILED)
    except OSError as error:
        stop(f"{target}: {error.strerror or error}; {GOES_ON}", FAILED)


def _encoder(client: Simila, model: str) -> Model:
    for one in client.models():
        if model in (one.id, *one.aliases):
            return one
    raise NotFound(f"there is no encoder '{model}'", status=404)


def _checked(folder: Path, part: Path, rows: Iterator[Row], encoder: Model, failures: Failures) -> int:
    """How many rows a finished part holds; they are taken from `rows`, and must be the same."""
    file = pq.ParquetFile(part)
    known, count = file.schema_arrow.metadata, int(file.metadata.num_rows)
    expected = _metadata(encoder, list(islice(rows, count)))
    if any(known.get(key) != value for key, value in expected.items()):
        raise WrongUsage(f"{folder} holds parts of other inputs or of another encoder; delete it to begin again")
    errors = file.read(["error"])["error"]
    failures.count += count - errors.null_count
    return count


def _metadata(encoder: Model, rows: Sequence[Row]) -> dict[bytes, bytes]:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(repr((row.id, row.name, row.label, row.payload)).encode("utf-8", "surrogatepass"))
    return {FINGERPRINT: encoder.fingerprint.encode(), ROWS_SHA256: digest.hexdigest().encode()}


def _parts(answers: Iterator[Answer], bar: RateBar, failures: Failures) -> Iterator[list[Answer]]:
    part: list[Answer] = []
    count, began = 0, time.monotonic()
    for answer in failures.told(answers):
        part.append(answer)
        bar.advance(len(answer.rows))
        count += len(answer.rows)
        if count >= PART_ROWS or time.monotonic() - began >= PART_SECONDS:
            yield part
            part, count, began = [], 0, time.monotonic()
    if part:
        yield part


def _begin(folder: Path, number: int) -> None:
    if number == 0:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()


def _write_part(path: Path, part: Sequence[Answer], encoder: Model) -> None:
    rows = [row for answer in part for row in answer.rows]
    errors = [answer.error(at) for answer in part for at in range(len(answer.rows))]
    vectors = np.concatenate([_full_width(answer, encoder.dimension) for answer in part])
    texts = {name: [getattr(row, name) for row in rows] for name in ("id", "name", "label", "payload")}
    columns = {
        "id": pa.array(texts["id"], pa.string()),
        "input": pa.array(texts["name"], pa.string()),
        "vector": _vector_column(vectors, errors),
        "label": pa.array(texts["label"], pa.string()),
        "payload": pa.array(texts["payload"], pa.string()),
        "truncated": pa.array([flag for answer in part for flag in answer.embeddings.truncated], pa.bool_()),
        "error": pa.array(errors, pa.string()),
    }
    unfinished = path.with_suffix(".unfinished")
    pq.write_table(pa.table(columns).replace_schema_metadata(_metadata(encoder, rows)), unfinished)
    unfinished.replace(path)


def _full_width(answer: Answer, dimension: int) -> NDArray[np.float32]:
    # Of a batch in which every input failed, no vector says how many dimensions there are.
    vectors = answer.embeddings.vectors
    return vectors if vectors.shape[1] else np.full((len(vectors), dimension), np.nan, dtype=np.float32)


def _vector_column(vectors: NDArray[np.float32], errors: Sequence[str | None]) -> pa.Array:
    failed = pa.array([error is not None for error in errors])
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1], mask=failed)


def _join(folder: Path, target: Path, encoder: Model, writer: Writer) -> None:
    parts = Parts(sorted(folder.glob("*.parquet")), encoder.fingerprint, encoder.dimension)
    joined = folder / "joined.unfinished"
    writer(parts, joined)
    with joined.open("rb") as file:
        os.fsync(file.fileno())
    joined.replace(target)
    shutil.rmtree(folder)


def _write_parquet(parts: Parts, path: Path) -> None:
    schema = pq.read_schema(parts.paths[0]).with_metadata({FINGERPRINT: parts.fingerprint})
    with pq.ParquetWriter(path, schema) as writer:
        for table in parts.tables():
            writer.write_table(table.cast(schema))


def _write_json_lines(parts: Parts, path: Path) -> None:
    with path.open("wb") as file:
        for table in parts.tables():
            vectors = _vectors(table, parts.dimension)
            columns = table.drop_columns(["vector"]).to_pylist()
            for vector, one in zip(vectors, columns, strict=True):
                row = Row(one["id"], one["input"], one["input"], one["label"], one["payload"])
                file.write(json_line(row, vector=vector, truncated=one["truncated"], error=one["error"]))


def _write_npy(parts: Parts, path: Path) -> None:
    shape = (parts.rows(), parts.dimension)
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False, "shape": shape}
    # Written, not mapped: where the disk is full, a write fails, and a mapped page ends the process.
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for table in parts.tables():
            file.write(_vectors(table, parts.dimension).data)


def _vectors(table: pa.Table, dimension: int) -> NDArray[np.float32]:
    """`float32 [n, d]`; rows that failed are NaN."""
    column = table["vector"].combine_chunks()
    vectors = np.full((len(table), dimension), np.nan, dtype=np.float32)
    # `flatten` leaves out the rows that are null.
    vectors[column.is_valid().to_numpy(zero_copy_only=False)] = column.flatten().to_numpy().reshape(-1, dimension)
    return vectors


WRITERS: dict[str, Writer] = {"parquet": _write_parquet, "json": _write_json_lines, "npy": _write_npy}
