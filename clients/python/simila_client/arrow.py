"""Items as an Arrow IPC stream. Apart from the rest, because it needs pyarrow."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from simila_client.errors import InvalidArgument


def items_stream(
    ids: Sequence[str],
    vectors: NDArray[np.floating[Any]],
    labels: Sequence[str | None] | None = None,
    payloads: Sequence[Mapping[str, Any] | str | None] | None = None,
) -> bytes:
    """One record batch of items; vectors `[n, d]` of float16 and float32 stay what they are, others become float32.

    Raises:
        InvalidArgument: columns differ in length, a text is not Unicode, or a payload has no form in JSON.

    """
    if vectors.ndim != 2 or not vectors.shape[1]:
        raise InvalidArgument(f"vectors of the shape {vectors.shape} are not rows of one dimension, [n, d]")
    dtype = vectors.dtype if vectors.dtype in (np.float16, np.float32) else np.float32
    values = pa.array(np.ascontiguousarray(vectors, dtype=dtype).ravel())
    columns = {"id": _texts("ids", ids), "vector": pa.FixedSizeListArray.from_arrays(values, vectors.shape[1])}
    if labels is not None:
        columns["label"] = _texts("labels", labels)
    if payloads is not None:
        columns["payload"] = _texts("payloads", [_json(payload) for payload in payloads])
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InvalidArgument(f"the columns differ in length: {lengths}")
    batch = pa.record_batch(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    stream: bytes = sink.getvalue().to_pybytes()
    return stream


def _texts(name: str, texts: Sequence[str | None]) -> pa.Array:
    try:
        return pa.array(texts, pa.string())
    except (pa.ArrowException, UnicodeEncodeError, TypeError) as error:
        raise InvalidArgument(f"{name} must be texts: {error}") from error


def _json(payload: Mapping[str, Any] | str | None) -> str | None:
    if payload is None or isinstance(payload, str):
        return payload
    try:
        return json.dumps(dict(payload), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(f"a payload cannot be written as JSON: {error}") from error
