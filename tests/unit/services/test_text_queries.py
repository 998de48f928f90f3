"""Text queries for the tuning of indexes, computed by the event loop for a thread that builds."""

import asyncio

import numpy as np
import pytest

from simila.services.text_queries import THINGS, TextQueries
from simila.storage.collection_file import CollectionSpec
from unit.services.word_encoders import DIMENSION, direction


def spec_of(pool, encoder, fingerprint=None):
    fingerprint = fingerprint or pool.get(encoder).manifest.fingerprint
    return CollectionSpec.new("c", encoder=encoder, fingerprint=fingerprint, dimension=DIMENSION)


def queries(pool, spec):
    async def run():
        text_queries = TextQueries()
        text_queries.attach(pool)
        return await asyncio.to_thread(text_queries, spec)

    return asyncio.run(run())


def test_a_joint_space_has_queries_by_text(pool):
    expected = np.stack([direction(f"a photo of a {thing}") for thing in THINGS])
    np.testing.assert_array_equal(queries(pool, spec_of(pool, "words")), expected)


@pytest.mark.parametrize(
    ("encoder", "fingerprint"), [("pictures", None), ("words", "ab" * 32)], ids=["images only", "another revision"]
)
def test_another_space_has_none(pool, encoder, fingerprint):
    assert queries(pool, spec_of(pool, encoder, fingerprint)).shape == (0, DIMENSION)


def test_an_encoder_that_is_not_there_gives_none(pool, caplog):
    spec = CollectionSpec.new("c", encoder="gone", fingerprint="ab" * 32, dimension=DIMENSION)
    assert queries(pool, spec).shape == (0, DIMENSION)
    assert "tuned without text queries" in caplog.text


def test_before_the_server_is_up_there_are_none(pool):
    assert TextQueries()(spec_of(pool, "words")).shape == (0, DIMENSION)
