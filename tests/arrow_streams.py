"""Items as the Arrow IPC stream that an upsert takes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def fixed_lists(rows: NDArray[np.floating[Any]]) -> pa.Array:
    """A column of the rows of `[n, d]`."""
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])


def arrow_stream(*batches: Mapping[str, Sequence[Any] | pa.Array], compression: str | None = None) -> bytes:
    """Columns by name, one batch after the other."""
    records = [pa.record_batch(dict(batch)) for batch in batches]
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, records[0].schema, options=options) as writer:
        for record in records:
            writer.write_batch(record)
    content: bytes = sink.getvalue().to_pybytes()
    return content
