"""Encoders that were trained with a prefix for queries and one for passages."""

import asyncio

import numpy as np
import pytest

from simila.domain.inputs import TextInput
from simila.domain.manifest import Modality
from simila.engine.encoder import Encoder
from simila.services.embedding import EmbeddingService
from simila.services.reranking import RerankService
from unit.services.word_encoders import TEXT, Tower, direction, manifest_of, pool_of


@pytest.fixture
def tower():
    return Tower()


@pytest.fixture
def embedding(tmp_path, tower):
    text = {**TEXT, "query_prefix": "query: ", "passage_prefix": "passage: "}
    pool = pool_of(tmp_path, Encoder(manifest_of("roles", text=text), {Modality.TEXT: tower}))
    yield EmbeddingService(pool)
    pool.close()


@pytest.mark.parametrize(("role", "seen"), [(None, "cat"), ("query", "query: cat"), ("passage", "passage: cat")])
def test_a_text_gets_the_prefix_of_its_role(embedding, tower, role, seen):
    asyncio.run(embedding.embed("roles", [TextInput("cat")], role=role))
    assert tower.seen == [seen]


def test_a_query_is_compared_as_one_with_passages(embedding):
    compared = asyncio.run(
        RerankService(embedding).compare("roles", TextInput("a"), [TextInput("b"), TextInput("c")], ["q", "d0", "d1"])
    )
    expected = [direction("query: a") @ direction(f"passage: {document}") for document in "bc"]
    np.testing.assert_allclose(compared.cosines, expected, rtol=1e-6)
    assert compared.tokens == len("query: a") + len("passage: b") + len("passage: c")


def test_of_equal_documents_the_first_given_comes_first(embedding):
    documents = [TextInput(text) for text in "bccb"]
    compared = asyncio.run(RerankService(embedding).compare("roles", TextInput("c"), documents, ["q", *"0123"]))
    order = compared.best()
    assert order in ([0, 3, 1, 2], [1, 2, 0, 3])
    assert compared.best(2) == order[:2]
