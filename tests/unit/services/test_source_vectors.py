import asyncio
from dataclasses import replace

import numpy as np
import pytest

from simila.domain.errors import CannotServe, FingerprintMismatch, InvalidInput, InvalidVector, UnsupportedModality
from simila.domain.inputs import ImageInput, TextInput, VectorInput
from simila.domain.manifest import Modality
from simila.engine.encoder import Encoder
from simila.services.source_vectors import SourceVectors
from simila.storage.collection_file import CollectionSpec
from tolerances import FLOAT32_VALUES
from unit.services.word_encoders import DIMENSION, TEXT, direction, manifest_of, pool_of

EAST = [5.0] + [0.0] * (DIMENSION - 1)


@pytest.fixture
def spec(pool):
    fingerprint = pool.get("words").manifest.fingerprint
    return CollectionSpec.new("shoes", encoder="words", fingerprint=fingerprint, dimension=DIMENSION)


@pytest.fixture
def vectors_of(pool):
    def vectors_of(spec, sources):
        names = [f"items[{position}]" for position in range(len(sources))]
        return asyncio.run(SourceVectors(pool).of(spec, sources, names))

    return vectors_of


def test_given_and_embedded_vectors_keep_their_positions(spec, vectors_of):
    sources = [TextInput("one"), VectorInput(EAST), ImageInput(b"photo"), TextInput("three"), VectorInput(EAST[::-1])]
    vectors, tokens = vectors_of(spec, sources)
    unit = np.array(EAST) / 5
    expected = [direction("one"), unit, direction(b"photo"), direction("three"), unit[::-1]]
    np.testing.assert_allclose(vectors, expected, atol=FLOAT32_VALUES)
    assert tokens == len("one") + len("three")


def test_every_bad_source_is_named_in_order(spec, vectors_of, tower):
    tower.bad = {"bad"}
    sources = [
        TextInput("good"),
        VectorInput([1.0]),
        TextInput("bad"),
        VectorInput([0.0] * DIMENSION),
        VectorInput(EAST),
    ]
    with pytest.raises(InvalidVector) as refused:
        vectors_of(spec, sources)
    assert refused.value.message == (
        "items[1]: the vector has 1 dimensions; the encoder's vectors have 8; items[2]: cannot embed 'bad';"
        " items[3]: a vector of length zero has no direction"
    )
    assert refused.value.param == "items[1]"


def test_a_bad_text_alone_is_an_invalid_input(spec, vectors_of, tower):
    tower.bad = {"bad"}
    with pytest.raises(InvalidInput, match=r"^items\[1\]: cannot embed 'bad'$"):
        vectors_of(spec, [VectorInput(EAST), TextInput("bad")])


def test_the_wrong_modality_is_named(pool, spec, vectors_of):
    pictures = replace(spec, encoder="pictures", fingerprint=pool.get("pictures").manifest.fingerprint)
    with pytest.raises(UnsupportedModality, match=r"^items\[1\]: encoder pictures embeds images, not texts$"):
        vectors_of(pictures, [ImageInput(b"photo"), TextInput("one")])


def test_an_encoder_that_has_changed_takes_vectors_only(spec, vectors_of, tower):
    older = replace(spec, fingerprint="0" * 64)
    with pytest.raises(FingerprintMismatch) as refused:
        vectors_of(older, [VectorInput(EAST), TextInput("one")])
    assert refused.value.message == (
        "collection shoes holds vectors of another revision of words (fingerprint 000000000000, served"
        f" {spec.fingerprint[:12]}); only vectors can be sent to it"
    )
    assert tower.seen == []
    vectors, tokens = vectors_of(older, [VectorInput(EAST)])
    assert (vectors.tolist(), tokens) == ([[1.0] + [0.0] * (DIMENSION - 1)], 0)


def test_an_encoder_that_is_not_served_takes_vectors_only(spec, vectors_of):
    elsewhere = replace(spec, encoder="gone")
    with pytest.raises(CannotServe) as refused:
        vectors_of(elsewhere, [TextInput("one")])
    assert refused.value.message == "collection shoes needs encoder gone, which is not served (SIMILA_ENCODERS)"
    assert vectors_of(elsewhere, [VectorInput(EAST)])[0][0, 0] == 1


def test_items_are_passages_and_what_is_searched_for_is_a_query(tmp_path, tower):
    text = {**TEXT, "query_prefix": "query: ", "passage_prefix": "passage: "}
    manifest = manifest_of("roles", text=text)
    pool = pool_of(tmp_path, Encoder(manifest, {Modality.TEXT: tower}))
    spec = CollectionSpec.new("notes", encoder="roles", fingerprint=manifest.fingerprint, dimension=DIMENSION)
    for role in ((), ("query",)):
        asyncio.run(SourceVectors(pool).of(spec, [TextInput("cat")], ["it"], *role))
    pool.close()
    assert tower.seen == ["passage: cat", "query: cat"]
