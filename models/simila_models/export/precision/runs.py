"""Run a graph on prepared inputs, one at a time, so that no neighbour has a part in its vector."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np
import onnxruntime as ort

from simila.domain.vectors import Float32
from simila_models.export.precision import Row

FATAL_ONLY = 4
ROUNDS = 5


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
