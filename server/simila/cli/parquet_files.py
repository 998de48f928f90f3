"""Parquet tables as files of vectors. Apart from the rest, because pyarrow takes long to import."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from simila.cli.errors import WrongUsage
from simila.cli.vector_files import UNKNOWN_DIMENSION_ROWS, VectorFile, VectorRows, batch_rows


def open_parquet(path: Path) -> VectorFile:
    """A table with the columns `id`, `vector` and, if it has them, `label` and `payload` (JSON); others are left out.

    So are rows that have something in a column `error`.

    Raises:
        WrongUsage: it is no Parquet, or lacks a column.

    """
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowException as error:
        raise WrongUsage(f"{path} is no Parquet file: {error}") from error
    names = file.schema_arrow.names
    if missing := [name for name in ("id", "vector") if name not in names]:
        raise WrongUsage(f"{path} has no column {' and no column '.join(missing)}; it has {', '.join(names)}")
    kind = file.schema_arrow.field("vector").type
    if not (pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        raise WrongUsage(f"{path}: its column vector is of {kind}, not of lists of numbers")
    metadata = file.schema_arrow.metadata or {}
    fingerprint = metadata.get(b"simila.fingerprint", b"").decode() or None
    return VectorFile(path.name, file.metadata.num_rows, _parquet_batches(path, file), fingerprint)


def _parquet_batches(path: Path, file: pq.ParquetFile) -> Iterator[VectorRows]:
    columns = [name for name in ("id", "vector", "label", "payload", "error") if name in file.schema_arrow.names]
    kind = file.schema_arrow.field("vector").type
    rows = batch_rows(kind.list_size) if pa.types.is_fixed_size_list(kind) else UNKNOWN_DIMENSION_ROWS
    start = 0
    try:
        for read in file.iter_batches(rows, columns=columns):
            batch = read.filter(read["error"].is_null()) if "error" in columns else read
            yield _rows(path, start, batch, columns, left_out=read.num_rows - batch.num_rows)
            start += read.num_rows
    except (pa.ArrowException, OSError) as error:
        raise WrongUsage(f"{path} cannot be read from row {start} on: {error}") from error


def _rows(path: Path, start: int, batch: pa.RecordBatch, columns: Sequence[str], *, left_out: int) -> VectorRows:
    return VectorRows(
        start,
        batch["id"].cast(pa.string()).to_pylist(),
        _matrix(path, start, batch["vector"]),
        batch["label"].cast(pa.string()).to_pylist() if "label" in columns else None,
        _payloads(batch["payload"]) if "payload" in columns else None,
        left_out=left_out,
    )


def _matrix(path: Path, start: int, column: pa.Array) -> NDArray[np.floating[Any]]:
    if not len(column):
        return np.empty((0, 0))
    lengths = column.value_lengths().fill_null(-1).to_numpy(zero_copy_only=False)
    values = column.flatten()
    if (lengths != lengths[0]).any() or values.null_count:
        odd = int(np.argmax(lengths != lengths[0]))
        raise WrongUsage(
            f"{path}: the vectors from row {start} on are not all of one length; look at row {start + odd}"
        )
    matrix: NDArray[np.floating[Any]] = values.to_numpy(zero_copy_only=False).reshape(len(column), -1)
    return matrix


def _payloads(column: pa.Array) -> Sequence[str | Mapping[str, Any] | None]:
    payloads: Sequence[str | Mapping[str, Any] | None] = column.to_pylist()
    return payloads
