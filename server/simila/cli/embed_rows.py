"""Rows and their vectors, batch by batch, and how `simila embed` writes one."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from simila.cli.inputs import without_name
from simila.cli.rows import Row
from simila_client import Embeddings, Simila, Source
from simila_client.batches import BATCH_ITEMS


@dataclass(frozen=True)
class Answer:
    """Rows and their vectors, in order."""

    rows: Sequence[Row]
    embeddings: Embeddings

    def error(self, at: int) -> str | None:
        """Why a row has no vector."""
        found = self.embeddings.errors.get(at)
        return None if found is None else without_name(found.message)


def embedded(client: Simila, rows: Iterator[Row], model: str) -> Iterator[Answer]:
    """Embed rows batch by batch; one that fails is an error of its own.

    Raises:
        SimilaClientError: the server answers none of them.

    """
    under_way: deque[Row] = deque()

    def contents() -> Iterator[Source]:
        for row in rows:
            under_way.append(row)
            yield row.content

    for embeddings in client.embed_stream(contents(), model=model, on_error="partial", batch_items=BATCH_ITEMS):
        yield Answer([under_way.popleft() for _ in embeddings.vectors], embeddings)


def json_line(row: Row, *, vector: Any, truncated: bool, error: str | None) -> bytes:
    """A row as a line that `simila collections import` takes; `error` is in the place of the vector."""
    line: dict[str, Any] = {"id": row.id, "input": row.name}
    line |= {"vector": vector} if error is None else {"error": error}
    line |= {"truncated": True} if truncated else {}
    line |= {} if row.label is None else {"label": row.label}
    line |= {} if row.payload is None else {"payload": orjson.Fragment(row.payload)}
    return orjson.dumps(line, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
