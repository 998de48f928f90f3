import asyncio

import numpy as np
import pytest

from simila.domain.errors import InvalidImage, InvalidInput, LimitExceeded, UnknownEncoder, UnsupportedModality
from simila.domain.inputs import ImageInput, TextInput
from simila.services.embedding import EmbeddingService, name_failures
from tolerances import FLOAT32_VALUES
from unit.services.word_encoders import DIMENSION, direction


@pytest.fixture
def embed(pool):
    return lambda *arguments, **options: asyncio.run(EmbeddingService(pool).embed(*arguments, **options))


def test_vectors_tokens_and_flags_come_in_the_order_of_the_inputs(embed):
    embedded = embed("words", [TextInput("one"), ImageInput(b"photo"), TextInput("three")])
    np.testing.assert_array_equal(embedded.vectors, [direction("one"), direction(b"photo"), direction("three")])
    assert embedded.tokens == (3, 0, 5)
    assert embedded.truncated == (False, False, False)


def test_truncate_reaches_the_tower(embed):
    assert embed("words", [TextInput("one")], truncate=False).truncated == (True,)


def test_fewer_dimensions_are_the_leading_ones_at_unit_length(embed):
    embedded = embed("words", [TextInput("one")], dimensions=3)
    leading = direction("one")[:3]
    np.testing.assert_allclose(embedded.vectors, [leading / np.linalg.norm(leading)], atol=FLOAT32_VALUES)
    np.testing.assert_array_equal(embed("words", [TextInput("one")], dimensions=DIMENSION).vectors[0], direction("one"))


def test_more_dimensions_than_there_are_cost_nothing(embed, tower):
    with pytest.raises(InvalidInput) as refused:
        embed("words", [TextInput("one")], dimensions=9)
    assert refused.value.message == "dimensions is 9; the vectors of words have 8"
    assert refused.value.param == "dimensions"
    assert tower.seen == []


def test_every_bad_input_is_named(embed, tower):
    tower.bad = {"bad", b"broken"}
    inputs = [TextInput("good"), ImageInput(b"broken"), TextInput("good"), TextInput("bad")]
    with pytest.raises(InvalidImage) as refused:
        embed("words", inputs)
    assert refused.value.message == "input[1]: cannot embed b'broken'; input[3]: cannot embed 'bad'"
    assert refused.value.param == "input[1]"


def test_errors_name_the_field_they_belong_to(embed, tower):
    tower.bad = {"bad"}
    with pytest.raises(InvalidInput, match=r"^prompts\[0\]: cannot embed 'bad'$"):
        embed("words", [TextInput("bad")], field="prompts")


def test_names_replace_the_field(embed, tower):
    tower.bad = {"bad"}
    with pytest.raises(InvalidInput, match=r"^text\[0\]: cannot embed 'bad'$"):
        embed("words", [ImageInput(b"photo"), TextInput("bad")], names=["image[0]", "text[0]"])


def test_what_can_be_had_is_had_when_asked_for(embed, tower):
    tower.bad = {"bad"}
    unreadable = InvalidImage("input[1].image: malformed base64", param="input[1].image")
    embedded = embed("words", [TextInput("bad"), unreadable, TextInput("three")], on_error="partial", truncate=False)
    np.testing.assert_array_equal(embedded.vectors, [np.zeros(DIMENSION), np.zeros(DIMENSION), direction("three")])
    assert {position: error.message for position, error in embedded.failures.items()} == {
        0: "cannot embed 'bad'",
        1: "input[1].image: malformed base64",
    }
    assert embedded.tokens == (3, 0, 5)
    assert embedded.truncated == (True, False, True)


def test_fewer_dimensions_keep_failures(embed, tower):
    tower.bad = {"bad"}
    embedded = embed("words", [TextInput("bad"), TextInput("one")], on_error="partial", dimensions=3)
    assert list(embedded.failures) == [0]
    np.testing.assert_array_equal(embedded.vectors[0], np.zeros(3))


def test_when_nothing_can_be_had_it_is_an_error(embed, tower):
    tower.bad = {"bad"}
    unreadable = InvalidImage("input[0].image: malformed base64", param="input[0].image")
    with pytest.raises(InvalidImage) as refused:
        embed("words", [unreadable, TextInput("bad")], on_error="partial")
    assert refused.value.message == "input[0].image: malformed base64; input[1]: cannot embed 'bad'"
    assert refused.value.param == "input[0].image"


def test_an_unreadable_input_costs_nothing_when_all_must_succeed(embed, tower):
    with pytest.raises(InvalidImage, match=r"^malformed base64$"):
        embed("words", [TextInput("one"), InvalidImage("malformed base64", param="input[1]")])
    assert tower.seen == []


def test_the_wrong_modality_is_named(embed):
    with pytest.raises(UnsupportedModality) as refused:
        embed("pictures", [ImageInput(b"photo"), TextInput("one")])
    assert refused.value.message == "input[1]: encoder pictures embeds images, not texts"


def test_an_unknown_encoder(embed):
    with pytest.raises(UnknownEncoder, match="unknown encoder 'resnet'; served here: words, pictures"):
        embed("resnet", [TextInput("one")])


def test_ten_failures_are_named_and_the_rest_counted():
    failures = {position: LimitExceeded("too long") for position in range(11, -1, -1)}
    error = name_failures(failures, [f"items[{position}]" for position in range(12)])
    assert type(error) is LimitExceeded
    assert error.message == "; ".join([f"items[{position}]: too long" for position in range(10)]) + "; and 2 more"
    assert error.param == "items[0]"


def test_the_first_failure_gives_the_kind():
    error = name_failures({2: InvalidImage("x"), 1: LimitExceeded("y")}, ["a", "b", "c"])
    assert (type(error), error.message, error.param) == (LimitExceeded, "b: y; c: x", "b")
