"""The limit: FAISS alone on the collection's own index, one query a call as callers of their own ask, or several.

At the same recall: candidates are scored again as the server does it, but from vectors that lie in memory.
"""

import os
import sqlite3
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Self

import faiss
import numpy as np
import orjson

from neighbours.vectors import NEIGHBOURS, Float32, Int64
from simila.index.openmp import use_search_threads  # sets when FAISS turns to BLAS, which is for the limit too


@dataclass(frozen=True)
class RawFigures:
    queries_a_second: float
    p50_ms: float  # of a call
    cpu_ms: float  # of a processor, for a query


class RawFaiss:
    """A process that has a body's index in memory, or flat vectors where there is no body, and does nothing else."""

    def __init__(self, collection: Path, vectors: Path, queries: Path) -> None:
        self._process = ProcessPoolExecutor(
            1, get_context("spawn"), initializer=_open, initargs=(collection, vectors, queries)
        )

    def figures(self, count: int, threads: int | None = None, queries_a_call: int = 1) -> RawFigures:
        """Search for so many queries in so many threads, by default one a core."""
        return self._process.submit(_figures, count, threads or len(os.sched_getaffinity(0)), queries_a_call).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.shutdown()


_index: faiss.Index
_parameters: faiss.SearchParameters | None
_queries: Float32


def _open(collection: Path, vectors: Path, queries: Path) -> None:
    global _index, _parameters, _queries  # noqa: PLW0603  an executor has no other place for what it keeps
    _queries, rows = np.load(queries), np.load(vectors)
    _index, _parameters = faiss.IndexFlatIP(rows.shape[1]), None
    manifest = collection / "body.json"
    if not manifest.exists():
        _index.add(rows)
        return
    body = orjson.loads(manifest.read_bytes())
    effort, rerank_factor = body["setting"]["effort"], body["setting"]["rerank_factor"]
    codes = faiss.read_index(str(collection / body["index"]["name"]))
    _index.add(rows[_rows_in_order(collection)[: codes.ntotal]])  # what came later was in the head
    # The server looks for one more than it shows.
    candidates_per_neighbour = (NEIGHBOURS + 1) / NEIGHBOURS * rerank_factor
    if body["kind"].startswith("hnsw"):
        of_codes = faiss.SearchParametersHNSW(efSearch=max(effort, round(NEIGHBOURS * candidates_per_neighbour)))
    else:
        of_codes = faiss.SearchParametersIVF(nprobe=effort)
    _parameters = faiss.IndexRefineSearchParameters(k_factor=candidates_per_neighbour, base_index_params=of_codes)
    _index = _refined(codes, _index)


def _refined(codes: faiss.Index, flat: faiss.Index) -> faiss.Index:
    refined = faiss.IndexRefine(codes, flat)
    refined.referenced_objects = [codes, flat]  # type: ignore[attr-defined]  # it keeps pointers alone
    return refined


def _rows_in_order(collection: Path) -> Int64:
    """The rows of the corpus as they came to the store, `int64 [n]`; their ids are their numbers."""
    with closing(sqlite3.connect(collection / "items.sqlite")) as store:
        ids = store.execute("SELECT id FROM items ORDER BY sequence").fetchall()
    return np.array([int(number) for (number,) in ids], np.int64)


def _figures(count: int, threads: int, queries_a_call: int) -> RawFigures:
    began, cpu_began = time.perf_counter(), time.process_time()
    step = threads * queries_a_call
    with ThreadPoolExecutor(threads) as pool:
        starts = [range(t * queries_a_call, count, step) for t in range(threads)]
        latencies = np.concatenate(list(pool.map(_search, starts, [queries_a_call] * threads)))
    searched = len(latencies) * queries_a_call
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    return RawFigures(searched / seconds, float(np.median(latencies)), 1000 * cpu_seconds / searched)


def _search(numbers: range, queries_a_call: int) -> list[float]:
    use_search_threads()
    milliseconds = []
    for number in numbers:
        row = number % (len(_queries) - queries_a_call + 1)
        began = time.perf_counter()
        _index.search(_queries[row : row + queries_a_call], NEIGHBOURS, params=_parameters)
        milliseconds.append(1000 * (time.perf_counter() - began))
    return milliseconds
