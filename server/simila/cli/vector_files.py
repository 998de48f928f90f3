"""Files of vectors; here JSON Lines, of stdin too, with or without a NumPy array beside them."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simila.cli.errors import WrongUsage

MOST_ROWS = 8192
UNKNOWN_DIMENSION_ROWS = 1024
MOST_VECTOR_BYTES = 24 * 2**20


@dataclass(frozen=True)
class VectorRows:
    """Consecutive rows of a file, the first of them at `start`; `left_out` more have an error and no vector."""

    start: int
    ids: Sequence[str]
    vectors: NDArray[np.floating[Any]]  # [n, d]
    labels: Sequence[str | None] | None = None
    payloads: Sequence[str | Mapping[str, Any] | None] | None = None
    left_out: int = 0


@dataclass(frozen=True)
class VectorFile:
    """A file of vectors that is read as it is sent.

    `rows` and `fingerprint`, its encoder's, are given where they are known before all is read.
    """

    name: str
    rows: int | None
    batches: Iterator[VectorRows]
    fingerprint: str | None = None
    warnings: Sequence[str] = field(default=())


def open_json_lines(path: Path, vectors: Path | None) -> VectorFile:
    """A JSON object a line: `id`, `label`, `payload`, and `vector` unless an array `[n, d]` of vectors is beside it.

    Lines with an `error` and no vector are left out.

    Raises:
        WrongUsage: it cannot be read, or has not as many lines as there are vectors.

    """
    with path.open("rb") as file:
        lines = sum(1 for line in file if line.strip())
    array = None if vectors is None else open_array(vectors)
    if array is not None and len(array) != lines:
        raise WrongUsage(f"{path} has {lines} lines, and {vectors} has {len(array)} vectors")
    return VectorFile(path.name, lines, _file_batches(path, array))


def open_stdin() -> VectorFile:
    """The same lines from stdin, read as they come; nothing knows how many there will be."""
    return VectorFile("stdin", None, _json_batches(sys.stdin.buffer, "stdin", None))


def open_array(path: Path) -> NDArray[np.floating[Any]]:
    """A NumPy array of vectors, `[n, d]`, left on the disk.

    Raises:
        WrongUsage: it is none.

    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise WrongUsage(f"{path} is no .npy file: {error}") from error
    if not isinstance(array, np.ndarray) or array.ndim != 2 or not np.issubdtype(array.dtype, np.floating):
        raise WrongUsage(f"{path} is no array of vectors, [n, d] of floating-point numbers")
    return array


def batch_rows(dimension: int) -> int:
    """How many vectors one request takes."""
    return max(1, min(MOST_ROWS, MOST_VECTOR_BYTES // (4 * max(1, dimension))))


def _file_batches(path: Path, array: NDArray[np.floating[Any]] | None) -> Iterator[VectorRows]:
    with path.open("rb") as file:
        yield from _json_batches(file, str(path), array)


def _json_batches(source: Iterable[bytes], name: str, array: NDArray[np.floating[Any]] | None) -> Iterator[VectorRows]:
    rows = batch_rows(array.shape[1]) if array is not None else UNKNOWN_DIMENSION_ROWS
    lines = ((number, line) for number, line in enumerate(source, 1) if line.strip())
    start = 0
    while found := [_object(name, number, line, array is None) for number, line in islice(lines, rows)]:
        objects = [one for one in found if array is not None or one["vector"] is not None]
        if array is None:
            vectors = _stacked(name, start, [one["vector"] for one in objects])
        else:
            vectors = np.asarray(array[start : start + len(objects)])
        ids = [str(one["id"]) for one in objects]
        labels, payloads = ([one.get(key) for one in objects] for key in ("label", "payload"))
        yield VectorRows(start, ids, vectors, labels, payloads, left_out=len(found) - len(objects))
        start += len(found)


def _object(name: str, number: int, line: bytes, with_vector: bool) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise WrongUsage(f"{name}, line {number}: it is not JSON: {error}") from error
    if with_vector and isinstance(found, dict) and "error" in found:
        found.setdefault("vector", None)  # `simila embed` says so of an input that failed
    names = ("id", "vector") if with_vector else ("id",)
    if not isinstance(found, dict) or any(key not in found for key in names):
        advice = "; give the vectors with --vectors FILE.npy" if with_vector else ""
        raise WrongUsage(f"{name}, line {number}: it is no object with {' and '.join(names)}{advice}")
    if isinstance(found["id"], bool) or not isinstance(found["id"], str | int):
        raise WrongUsage(f"{name}, line {number}: the id is neither a text nor a whole number")
    return found


def _stacked(name: str, start: int, vectors: Sequence[Any]) -> NDArray[np.floating[Any]]:
    if not vectors:
        return np.empty((0, 0))
    try:
        stacked = np.array(vectors, dtype=np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise WrongUsage(f"{name}: the vectors from item {start} on are not all lists of as many numbers") from error
    if stacked.ndim != 2:
        raise WrongUsage(f"{name}: the vectors from item {start} on are no lists of numbers")
    return stacked
