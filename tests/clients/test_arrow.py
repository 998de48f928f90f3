import numpy as np
import pyarrow as pa
import pytest

from simila_client import InvalidArgument
from simila_client.arrow import items_stream

VECTORS = np.arange(4, dtype=np.float32).reshape(2, 2)


def read(stream):
    return pa.ipc.open_stream(stream).read_all()


def test_columns_become_one_batch_of_text_and_fixed_lists():
    table = read(items_stream(["a", "ü"], VECTORS, ["heel", None], [{"größe": 1}, '{"b": 2}']))
    assert table.to_pydict() == {
        "id": ["a", "ü"],
        "vector": VECTORS.tolist(),
        "label": ["heel", None],
        "payload": ['{"größe": 1}', '{"b": 2}'],
    }
    assert table.schema.field("vector").type == pa.list_(pa.float32(), 2)


@pytest.mark.parametrize(("given", "sent"), [("f2", "f2"), ("f4", "f4"), ("f8", "f4"), (">f4", "f4")])
def test_vectors_keep_their_values(given, sent):
    table = read(items_stream(["a", "b"], VECTORS.astype(given)))
    values = table["vector"].combine_chunks().flatten().to_numpy()
    assert values.dtype == sent
    np.testing.assert_array_equal(values.reshape(2, 2), VECTORS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a"], VECTORS), "the columns differ in length: {'id': 1, 'vector': 2}"),
        ((["a", 1], VECTORS), "ids must be texts"),
        ((["a", "\ud800"], VECTORS), "ids must be texts"),
        ((["a"], VECTORS[0]), "are not rows of one dimension"),
        ((["a", "b"], VECTORS[:, :0]), "are not rows of one dimension"),
        ((["a", "b"], VECTORS, None, [{"a": float("nan")}, None]), "a payload cannot be written as JSON"),
    ],
)
def test_what_has_no_form_is_not_sent(arguments, message):
    with pytest.raises(InvalidArgument, match=message):
        items_stream(*arguments)
