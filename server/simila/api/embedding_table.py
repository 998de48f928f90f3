"""Vectors as an Arrow IPC stream."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from simila.api.errors import ErrorDetail
from simila.domain.inputs import Embedded


def embedding_stream(embedded: Embedded, values: NDArray[Any], errors: Mapping[int, ErrorDetail], model: str) -> bytes:
    """One batch of columns `embedding`, `tokens`, `truncated` and `error`; `values` are the vectors in some type.

    Where an input failed, `embedding` is null and `error` is its `ErrorDetail` as JSON. The schema's metadata has
    `model`.
    """
    rows, length = values.shape
    failed = np.zeros(rows, dtype=bool)
    failed[list(errors)] = True
    flat = pa.array(values.ravel())
    columns = {
        "embedding": pa.FixedSizeListArray.from_arrays(flat, length, mask=pa.array(failed)),
        "tokens": pa.array(embedded.tokens, pa.int32()),
        "truncated": pa.array(embedded.truncated, pa.bool_()),
        "error": pa.array([errors[i].model_dump_json() if i in errors else None for i in range(rows)], pa.string()),
    }
    batch = pa.record_batch(columns).replace_schema_metadata({"model": model})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    stream: bytes = sink.getvalue().to_pybytes()
    return stream
