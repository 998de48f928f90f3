"""Items as an Arrow IPC stream. What is sent is not trusted: it is bounded before it is read, and validated."""

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from simila.api.access import count_items
from simila.domain.errors import InvalidInput, InvalidVector, quoted
from simila.services.ingestion import ItemColumns
from simila.services.item_checks import ItemLimits, check_count

_REQUIRED = ("id", "vector")
_COLUMNS = (*_REQUIRED, "label", "payload")
# Plain layouts alone: of a dictionary or of views, a small body can unfold to any size.
_TEXTS = (pa.types.is_string, pa.types.is_large_string)
_LISTS = (pa.types.is_fixed_size_list, pa.types.is_list, pa.types.is_large_list)

# Places in Arrow's FlatBuffers tables (format/Message.fbs): Message.header, RecordBatch.compression.
_HEADER, _COMPRESSION = 2, 3


def read_items(content: bytes, limits: ItemLimits) -> ItemColumns:
    """Read an upsert: columns `id`, `vector` and, if there are any, `label` and `payload` (JSON), over any batches.

    Vectors stay where they are in `content` if they came in one batch without nulls.

    Raises:
        InvalidInput: it is no such stream, or an item has no id or no vector.
        InvalidVector: vectors have no value at a place, or differ in length.
        LimitExceeded: too many items.

    """
    try:
        table = _table(content)
        check_count(table.num_rows, limits)
        count_items(table.num_rows)
        table.validate(full=True)
        table = table.combine_chunks()
    except (pa.ArrowException, OSError, UnicodeDecodeError, struct.error) as error:
        raise InvalidInput(f"the body is no sound Arrow IPC stream: {error}") from error
    for name in _REQUIRED:
        _check_complete(table[name], name)
    vectors = _matrix(table["vector"].chunk(0))
    return ItemColumns(table["id"].to_pylist(), vectors, _texts(table, "label"), _texts(table, "payload"))


def _table(content: bytes) -> pa.Table:
    messages = iter(pa.ipc.MessageReader.open_stream(pa.py_buffer(content)))
    schema = pa.ipc.read_schema(_of_type(next(messages, None), "schema"))
    _check_schema(schema)
    batches = []
    for message in messages:
        if _is_compressed(_of_type(message, "record batch").metadata):
            raise InvalidInput("the Arrow stream is compressed; write it without compression")
        batches.append(pa.ipc.read_record_batch(message, schema))
    return pa.Table.from_batches(batches, schema)


def _of_type(message: pa.Message | None, kind: str) -> pa.Message:
    # Arrow itself takes one for the other, and crashes.
    if message is None or message.type != kind:
        raise InvalidInput(f"the body is no Arrow IPC stream of items: a {kind} is missing")
    return message


def _check_schema(schema: pa.Schema) -> None:
    for name in schema.names:
        if name not in _COLUMNS:
            raise InvalidInput(f"{quoted(name)} is no column of items; they are {', '.join(_COLUMNS)}", param=name)
        if schema.names.count(name) > 1:
            raise InvalidInput(f"the column {name} is there twice", param=name)
        kind = schema.field(name).type
        if name == "vector":
            # Arrow divides by the size of its fixed lists.
            empty = pa.types.is_fixed_size_list(kind) and not kind.list_size
            if empty or not (any(is_of(kind) for is_of in _LISTS) and pa.types.is_floating(kind.value_type)):
                raise InvalidInput(f"the column vector is of {kind}; cast it to a list of float32", param=name)
        elif not any(is_of(kind) for is_of in _TEXTS):
            raise InvalidInput(f"the column {name} is of {kind}; cast it to string", param=name)
    for name in _REQUIRED:
        if name not in schema.names:
            raise InvalidInput(f"the column {name} is missing", param=name)


def _is_compressed(metadata: pa.Buffer) -> bool:
    """Whether a batch must be unpacked to be read, and may then be of any size. Arrow's reader would just do it."""
    buffer = memoryview(metadata)
    message: int = struct.unpack_from("<I", buffer)[0]
    header = _field(buffer, message, _HEADER)
    if header is None:
        return False
    batch = header + struct.unpack_from("<I", buffer, header)[0]
    return _field(buffer, batch, _COMPRESSION) is not None


def _field(buffer: memoryview, table: int, place: int) -> int | None:
    """Where a field of a FlatBuffers table lies; None if it is absent."""
    entries = table - struct.unpack_from("<i", buffer, table)[0]
    entry = 4 + 2 * place
    if entry >= struct.unpack_from("<H", buffer, entries)[0]:
        return None
    offset: int = struct.unpack_from("<H", buffer, entries + entry)[0]
    return table + offset if offset else None


def _check_complete(column: pa.ChunkedArray, name: str) -> None:
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise InvalidInput(f"items[{row}].{name}: is missing", param=f"items[{row}].{name}")


def _matrix(column: Any) -> NDArray[np.floating[Any]]:
    """The rows of a list column without null lists, `[n, d]`."""
    lengths = column.value_lengths().to_numpy(zero_copy_only=False)
    dimension = int(lengths[0])
    if (lengths != dimension).any():
        row = int(np.flatnonzero(lengths != dimension)[0])
        part = f"items[{row}].vector"
        message = f"{part}: the vector has {lengths[row]} dimensions; that of items[0] has {dimension}"
        raise InvalidVector(message, param=part)
    values = column.flatten()
    if values.null_count:
        row, position = divmod(int(np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))[0]), dimension)
        part = f"items[{row}].vector"
        raise InvalidVector(f"{part}: the value at position {position} is null", param=part)
    matrix: NDArray[np.floating[Any]] = values.to_numpy().reshape(len(column), dimension)
    return matrix


def _texts(table: pa.Table, name: str) -> Sequence[str | None] | None:
    if name not in table.column_names or table[name].null_count == table.num_rows:
        return None
    texts: Sequence[str | None] = table[name].to_pylist()
    return texts
