import asyncio

import numpy as np
import pytest

from simila.domain.errors import InvalidInput, UnknownItem
from simila.domain.inputs import ImageInput, TextInput, VectorInput
from simila.services.item_checks import NewItem
from simila.services.query_vectors import QueryVectors, StoredId, WeightedExample, by_examples, spelt_out
from simila.services.source_vectors import SourceVectors
from unit.services.word_encoders import direction


@pytest.fixture
def collection(catalogue, collections):
    asyncio.run(collections.upsert("colours", [NewItem("blue", TextInput("blue"))]))
    return catalogue.get("colours")


def query_vector(pool, collection, parts, place=""):
    return asyncio.run(QueryVectors(SourceVectors(pool)).of(collection, parts, place))


def unit(vector):
    return vector / np.linalg.norm(vector)


def test_one_part_is_its_vector_to_the_last_bit(pool, collection):
    found = query_vector(pool, collection, [WeightedExample(TextInput("red"), weight=3.0)])
    np.testing.assert_array_equal(found.vector, direction("red"))
    assert found.stored_ids == ()


def test_parts_of_every_kind_are_summed_by_weight(pool, collection):
    ones = [1.0] * 8
    parts = [
        WeightedExample(TextInput("red"), weight=2.0),
        WeightedExample(StoredId("blue"), weight=-0.5),
        WeightedExample(VectorInput(ones)),
        WeightedExample(ImageInput(b"photo"), weight=0.25),
    ]
    found = query_vector(pool, collection, parts)
    expected = 2 * direction("red") - 0.5 * direction("blue") + unit(np.array(ones)) + 0.25 * direction(b"photo")
    np.testing.assert_allclose(found.vector, unit(expected), atol=1e-6)
    assert found.stored_ids == ("blue",)


def test_a_negative_weight_alone_turns_the_vector_round(pool, collection):
    found = query_vector(pool, collection, [WeightedExample(TextInput("red"), weight=-2.0)])
    np.testing.assert_allclose(found.vector, -direction("red"), atol=1e-6)


def test_weights_may_be_as_large_as_numbers_are(pool, collection):
    parts = [WeightedExample(TextInput(word), weight=1e308) for word in ("red", "green")]
    found = query_vector(pool, collection, parts)
    np.testing.assert_allclose(found.vector, unit(direction("red") + direction("green")), atol=1e-6)


def test_examples_make_rocchios_query(pool, collection):
    positive = [(TextInput("red"), "positive[0]"), (TextInput("pink"), "positive[1]")]
    parts = by_examples(positive, [(StoredId("blue"), "negative[0].id")])
    found = query_vector(pool, collection, parts)
    expected = 0.75 * (direction("red") + direction("pink")) / 2 - 0.15 * direction("blue")
    np.testing.assert_allclose(found.vector, unit(expected), atol=1e-6)


@pytest.mark.parametrize(
    "parts",
    [
        [WeightedExample(TextInput("red")), WeightedExample(TextInput("red"), weight=-1.0)],
        [WeightedExample(TextInput("red"), weight=0.0)],
    ],
)
def test_a_query_without_direction_is_refused(pool, collection, parts):
    with pytest.raises(InvalidInput, match=r"^searches\[1\]: the parts of the query cancel each other out") as refused:
        query_vector(pool, collection, parts, "searches[1]")
    assert refused.value.param == "searches[1]"


def test_a_stored_item_that_is_not_there_is_named(pool, collection):
    with pytest.raises(UnknownItem, match=r"^collection colours has no item 'gone'$") as refused:
        query_vector(pool, collection, [WeightedExample(StoredId("gone"), "queries[2].id")])
    assert refused.value.param == "queries[2].id"


def test_a_part_that_cannot_be_embedded_is_named(pool, collection, tower):
    tower.bad = {"bad"}
    parts = [WeightedExample(TextInput("red"), "queries[0]"), WeightedExample(TextInput("bad"), "queries[1]")]
    with pytest.raises(InvalidInput, match=r"^queries\[1\]: cannot embed 'bad'$"):
        query_vector(pool, collection, parts)


def test_only_the_same_query_has_the_same_digest():
    queries = [
        [WeightedExample(TextInput("a"))],
        [WeightedExample(StoredId("a"))],
        [WeightedExample(ImageInput(b"a"))],
        [WeightedExample(TextInput("a"), weight=2.0)],
        [WeightedExample(TextInput("a")), WeightedExample(TextInput("b"))],
        [WeightedExample(TextInput("ab"))],
        [WeightedExample(VectorInput([1.0, 2.0]))],
        [WeightedExample(VectorInput([2.0, 1.0]))],
    ]
    assert len({spelt_out(query) for query in queries}) == len(queries)
    as_array = [WeightedExample(VectorInput(np.array([1, 2], np.float32)), name="other")]
    assert spelt_out(as_array) == spelt_out(queries[6])
