"""A collection on a server: filled, waited for, searched, measured."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pybase64
from speed.servers import Server, ServerFailed
from speed.wrk import Bodies

from neighbours.vectors import NEIGHBOURS, Corpus, Int64

ARROW = "application/vnd.apache.arrow.stream"
BATCH_ROWS = 5_000
WRITERS = 2
POLL_SECONDS = 0.5
IDLE_SECONDS = 1.0
IDLE_SHARE = 0.1  # of a core


@dataclass(frozen=True)
class ServedCollection:
    """One collection by its path, `/v1/collections/NAME`."""

    server: Server
    path: str

    def create(self, encoder: str) -> None:
        self._ask("PUT", self.path, {"encoder": encoder})
        self._ask("PUT", f"{self.path}/indexes/bucket", {})

    def fill(self, corpus: Corpus) -> float:
        """Send all vectors; return how many a second became durable and searchable."""
        starts = range(0, len(corpus.vectors), BATCH_ROWS)
        began = time.perf_counter()
        with ThreadPoolExecutor(WRITERS) as writers:
            for _ in writers.map(lambda start: self._upsert(corpus, start), starts):
                pass
        return len(corpus.vectors) / (time.perf_counter() - began)

    def wait_until_built(self, tell: Callable[[str], None]) -> tuple[dict[str, Any], float]:
        """Return the collection's index once nothing is being built, and how long that took."""
        began = time.perf_counter()
        while True:
            index: dict[str, Any] = self.described()["index"]
            if not index["building"]:
                return index, time.perf_counter() - began
            tell(f"building: {index['building']}")
            time.sleep(POLL_SECONDS)

    def wait_until_idle(self) -> None:
        """Wait for what goes on behind the answers: checks of a start, and tuning on queries that were asked."""
        before = -IDLE_SECONDS
        while (now := self.server.cpu_seconds()) - before > IDLE_SHARE * IDLE_SECONDS:
            before = now
            time.sleep(IDLE_SECONDS)

    def described(self) -> dict[str, Any]:
        return self._ask("GET", self.path)

    def neighbours(self, corpus: Corpus, **options: Any) -> Int64:
        """The rows found for each query, `int64 [q, 10]`, -1 where fewer came."""
        with ThreadPoolExecutor(WRITERS) as pool:
            found = list(pool.map(lambda body: self._rows_of(orjson.dumps({**body, **options})), self._bodies(corpus)))
        return np.array([rows + [-1] * (NEIGHBOURS - len(rows)) for rows in found])

    def written_bodies(self, corpus: Corpus, file: Path) -> Bodies:
        bodies = [orjson.dumps(body) for body in self._bodies(corpus)]
        return Bodies.written(file, bodies, path=f"{self.path}/search", content_type="application/json")

    def _bodies(self, corpus: Corpus) -> Sequence[dict[str, Any]]:
        vectors = [pybase64.b64encode_as_string(query.astype("<f4").tobytes()) for query in corpus.queries]
        return [{"vector": vector, "limit": NEIGHBOURS} for vector in vectors]

    def _rows_of(self, body: bytes) -> list[int]:
        status, answer = self.server.post(f"{self.path}/search", "application/json", body)
        if status != 200:
            raise ServerFailed(f"a search was answered with {status}: {answer[:300]!r}")
        return [int(hit["id"]) for hit in orjson.loads(answer)["results"]]

    def _upsert(self, corpus: Corpus, start: int) -> None:
        vectors = corpus.vectors[start : start + BATCH_ROWS]
        rows = range(start, start + len(vectors))
        columns = {
            "id": pa.array([str(row) for row in rows]),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1]),
            "payload": pa.array([f'{{"bucket":{row % 1000}}}' for row in rows]),
        }
        batch = pa.RecordBatch.from_pydict(columns)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
        status, answer = self.server.post(f"{self.path}/items", ARROW, sink.getvalue().to_pybytes())
        if status != 200:
            raise ServerFailed(f"items were answered with {status}: {answer[:300]!r}")

    def _ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        connection = HTTPConnection("127.0.0.1", self.server.port, timeout=600)
        connection.request(
            method, path, orjson.dumps(body) if body is not None else None, {"content-type": "application/json"}
        )
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        if response.status >= 300:
            raise ServerFailed(f"{method} {path} was answered with {response.status}: {answer[:300]!r}")
        found: dict[str, Any] = orjson.loads(answer) if answer else {}
        return found
