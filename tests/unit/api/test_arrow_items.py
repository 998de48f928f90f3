import numpy as np
import pyarrow as pa
import pytest

from arrow_streams import arrow_stream, fixed_lists
from simila.api.arrow_items import read_items
from simila.domain.errors import InvalidInput, InvalidVector, LimitExceeded
from simila.services.item_checks import ItemLimits

LIMITS = ItemLimits(items=5, label_characters=8, payload_bytes=20, items_setting="SIMILA_LIMITS__MAX_VECTOR_ITEMS")
ROWS = np.arange(6, dtype=np.float32).reshape(3, 2)


def stream(compression=None, **columns):
    return arrow_stream(columns, compression=compression)


def test_all_columns_are_read():
    labels, payloads = ["heel", None, "Stiefel ü"], [None, '{"a": 1}', "{}"]
    columns = read_items(stream(id=["a", "b", "ç"], vector=fixed_lists(ROWS), label=labels, payload=payloads), LIMITS)
    np.testing.assert_array_equal(columns.vectors, ROWS)
    assert (columns.ids, columns.labels, columns.payloads_json) == (["a", "b", "ç"], labels, payloads)


def test_one_batch_of_float32_stays_where_it_is():
    content = stream(id=["a", "b", "c"], vector=fixed_lists(ROWS))
    vectors = read_items(content, LIMITS).vectors
    assert vectors.dtype == np.float32
    assert np.shares_memory(vectors, np.frombuffer(content, np.uint8))


@pytest.mark.parametrize(
    "vector",
    [
        fixed_lists(ROWS.astype(np.float16)),
        fixed_lists(ROWS.astype(np.float64)),
        pa.array(ROWS.tolist(), pa.list_(pa.float32())),
        pa.array(ROWS.tolist(), pa.large_list(pa.float32())),
        fixed_lists(np.vstack([ROWS[:1], ROWS]))[1:],
    ],
    ids=["float16", "float64", "list", "large-list", "slice"],
)
def test_vectors_are_read_in_each_layout(vector):
    np.testing.assert_array_equal(read_items(stream(id=["a", "b", "c"], vector=vector), LIMITS).vectors, ROWS)


def test_batches_are_joined_and_columns_without_values_are_none():
    first = {"id": ["a"], "vector": fixed_lists(ROWS[:1]), "label": pa.nulls(1, pa.string())}
    second = {"id": ["b", "c"], "vector": fixed_lists(ROWS[1:]), "label": pa.nulls(2, pa.string())}
    columns = read_items(arrow_stream(first, second), LIMITS)
    np.testing.assert_array_equal(columns.vectors, ROWS)
    assert (columns.ids, columns.labels, columns.payloads_json) == (["a", "b", "c"], None, None)


GOOD = {"id": ["a", "b"], "vector": fixed_lists(ROWS[:2])}


@pytest.mark.parametrize(
    ("columns", "error", "message", "param"),
    [
        ({"id": ["a", None]}, InvalidInput, "items[1].id: is missing", "items[1].id"),
        (
            {"vector": pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2))},
            InvalidInput,
            "items[1].vector: is missing",
            "items[1].vector",
        ),
        (
            {"vector": pa.array([[1.0, 2.0], [3.0, None]], pa.list_(pa.float32(), 2))},
            InvalidVector,
            "items[1].vector: the value at position 1 is null",
            "items[1].vector",
        ),
        (
            {"vector": pa.array([[1.0, 2.0], [3.0]], pa.list_(pa.float32()))},
            InvalidVector,
            "items[1].vector: the vector has 1 dimensions; that of items[0] has 2",
            "items[1].vector",
        ),
        ({"id": [1, 2]}, InvalidInput, "the column id is of int64; cast it to string", "id"),
        (
            {"label": pa.array(["x", "x"]).dictionary_encode()},
            InvalidInput,
            "the column label is of dictionary<values=string, indices=int32, ordered=0>; cast it to string",
            "label",
        ),
        (
            {"vector": [1.0, 2.0]},
            InvalidInput,
            "the column vector is of double; cast it to a list of float32",
            "vector",
        ),
        (
            {"colour": ["x", "y"]},
            InvalidInput,
            "'colour' is no column of items; they are id, vector, label, payload",
            "colour",
        ),
    ],
    ids=["id", "vector", "value", "ragged", "numbers", "dictionary", "scalars", "unknown"],
)
def test_what_cannot_be_read_is_named(columns, error, message, param):
    with pytest.raises(error) as refused:
        read_items(stream(**GOOD | columns), LIMITS)
    assert (type(refused.value), refused.value.message, refused.value.param) == (error, message, param)


def test_a_column_that_is_missing_is_named():
    with pytest.raises(InvalidInput, match=r"^the column vector is missing$"):
        read_items(stream(id=["a"]), LIMITS)


def test_a_column_that_is_there_twice_is_named():
    batch = pa.record_batch([pa.array(["a"]), pa.array(["b"]), fixed_lists(ROWS[:1])], names=["id", "id", "vector"])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    with pytest.raises(InvalidInput, match=r"^the column id is there twice$"):
        read_items(sink.getvalue().to_pybytes(), LIMITS)


def test_more_items_than_the_limit_name_the_setting():
    content = stream(id=list("abcdef"), vector=fixed_lists(np.ones((6, 2), np.float32)))
    with pytest.raises(LimitExceeded, match=r"^6 items are more than the limit of 5 \(SIMILA_LIMITS__MAX_VECTOR_ITEMS"):
        read_items(content, LIMITS)


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_a_compressed_stream_is_refused_before_it_unfolds(compression):
    with pytest.raises(InvalidInput, match=r"^the Arrow stream is compressed; write it without compression$"):
        read_items(stream(**GOOD, compression=compression), LIMITS)


def test_a_stream_without_items_is_refused():
    with pytest.raises(InvalidInput, match=r"^there are no items$"):
        read_items(stream(id=pa.array([], pa.string()), vector=fixed_lists(ROWS)[:0]), LIMITS)


def test_fixed_lists_of_no_values_are_refused():
    vector = pa.array([[], []], pa.list_(pa.float32(), 0))
    with pytest.raises(
        InvalidInput, match=r"^the column vector is of fixed_size_list<item: float>.0.; cast it to a list"
    ):
        read_items(stream(id=["a", "b"], vector=vector), LIMITS)


@pytest.mark.parametrize(
    ("parts", "missing"), [((1,), "schema"), ((0, 0), "record batch"), ((), "schema")], ids=["batch", "schemas", "none"]
)
def test_messages_out_of_place_are_refused(parts, missing):
    content = stream(**GOOD)
    schema_bytes = 8 + int.from_bytes(content[4:8], "little")  # marker, length, metadata
    messages = content[:schema_bytes], content[schema_bytes:]
    with pytest.raises(InvalidInput, match=rf"^the body is no Arrow IPC stream of items: a {missing} is missing$"):
        read_items(b"".join(messages[part] for part in parts), LIMITS)


def test_every_truncation_is_an_error_or_the_whole():
    content = stream(**GOOD)
    whole = read_items(content, LIMITS)
    for end in range(len(content)):
        try:
            columns = read_items(content[:end], LIMITS)
        except InvalidInput:
            continue
        np.testing.assert_array_equal(columns.vectors, whole.vectors)
        assert end >= len(content) - 8, "only the end marker may be missing"


def test_no_flipped_byte_leaves_as_another_error():
    content = stream(**GOOD, label=["x", None])
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        try:
            read_items(bytes(damaged), LIMITS)
        except (InvalidInput, LimitExceeded):
            continue
