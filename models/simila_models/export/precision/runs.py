"""Run a graph on prepared inputs, alone and in company: a dynamic scale depends on the neighbours of a row."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from simila.domain.vectors import Float32
from simila_models.export.precision import Row

FATAL_ONLY = 4
ROUNDS = 5
# As many as a busy server puts together: the more neighbours, the coarser the scale that they share.
BATCH_ROWS = 32


def open_session(graph: Path | bytes, *, threads: int = 0) -> ort.InferenceSession:
    """Open a graph, from a file or from memory, on the CPU; 0 threads are one a core."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = FATAL_ONLY
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def vectors_of(graph: Path, output_name: str, rows: Sequence[Row]) -> Float32:
    """Run every row: `float32 [n, d], unit length`."""
    session = open_session(graph)
    return np.concatenate([session.run([output_name], dict(row))[0] for row in rows]).astype(np.float32)


def vectors_in_batches(graph: Path, output_name: str, rows: Sequence[Row]) -> Float32:
    """Run rows of like length together, padded with zeros, as the server does: `float32 [n, d], unit length`."""
    session = open_session(graph)
    lengths = [next(iter(row.values())).shape[1] for row in rows]
    by_length = sorted(range(len(rows)), key=lambda position: lengths[position])
    vectors: list[Float32] = [np.empty(0, dtype=np.float32)] * len(rows)
    for start in range(0, len(rows), BATCH_ROWS):
        positions = by_length[start : start + BATCH_ROWS]
        found = session.run([output_name], _together([rows[position] for position in positions]))[0]
        for position, vector in zip(positions, found, strict=True):
            vectors[position] = vector
    return np.stack(vectors).astype(np.float32)


def _together(rows: Sequence[Row]) -> Row:
    """One batch, every row padded to the longest along its second axis."""
    longest = max(next(iter(row.values())).shape[1] for row in rows)

    def padded(array: NDArray[Any]) -> NDArray[Any]:
        after = [(0, 0)] * array.ndim
        after[1] = (0, longest - array.shape[1])
        return np.pad(array, after)

    return {name: np.concatenate([padded(row[name]) for row in rows]) for name in rows[0]}


def speed_up(reference: Path, other: Path, output_name: str, rows: Sequence[Row]) -> float:
    """How many times as fast `other` is on one thread, by processor time; the two take turns."""
    sessions = [open_session(graph, threads=1) for graph in (reference, other)]
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for session, times in zip(sessions, seconds, strict=True):
            began_at = process_time()
            for row in rows:
                session.run([output_name], dict(row))
            times.append(process_time() - began_at)
    return median(seconds[0]) / median(seconds[1])
