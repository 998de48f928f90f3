"""Hugging Face's InferenceClient, unchanged, as against Text Embeddings Inference."""

import asyncio
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from huggingface_hub import AsyncInferenceClient, InferenceClient, close_session
from huggingface_hub.errors import HfHubHTTPError

from api.wire import embed, vectors
from clients.conftest import JOINT_ENCODER, TEXT_ENCODER, Addresses
from tolerances import FLOAT32_VALUES

pytestmark = pytest.mark.protocol("Text Embeddings Inference", client="huggingface_hub")


@pytest.fixture(autouse=True)
def connections_are_closed() -> Iterator[None]:
    yield
    close_session()


def test_features_of_the_default_encoder_and_of_a_named_one(addresses: Addresses, direct: httpx.Client) -> None:
    paths = {"": TEXT_ENCODER, "embed": TEXT_ENCODER, f"tei/{JOINT_ENCODER}": JOINT_ENCODER}
    for path, encoder in paths.items():
        client = InferenceClient(f"{addresses.url}/{path}")
        expected = vectors(embed(direct, encoder, ["one", "two"]))
        np.testing.assert_allclose(client.feature_extraction(["one", "two"]), expected, atol=FLOAT32_VALUES)
        options = {"normalize": True, "truncate": True, "truncation_direction": "right", "dimensions": 64}
        cut = expected[:1, :64] / np.linalg.norm(expected[0, :64])
        np.testing.assert_allclose(client.feature_extraction("one", **options), cut, atol=FLOAT32_VALUES)


def test_the_asynchronous_client(addresses: Addresses, direct: httpx.Client) -> None:
    async def ask() -> np.ndarray:
        async with AsyncInferenceClient(f"{addresses.url}/embed") as client:
            return await client.feature_extraction("one")

    np.testing.assert_allclose(asyncio.run(ask()), vectors(embed(direct, TEXT_ENCODER, "one")), atol=FLOAT32_VALUES)


def test_sentences_are_compared(addresses: Addresses, direct: httpx.Client) -> None:
    client = InferenceClient(f"{addresses.url}/similarity")
    scores = client.sentence_similarity("a cat", other_sentences=["a kitten", "the stock market"])
    source, *others = vectors(embed(direct, TEXT_ENCODER, ["a cat", "a kitten", "the stock market"]))
    np.testing.assert_allclose(scores, [source @ other for other in others], atol=FLOAT32_VALUES)


def test_an_error_is_its_own_exception(addresses: Addresses) -> None:
    with pytest.raises(HfHubHTTPError, match="unknown encoder 'nope'"):
        InferenceClient(f"{addresses.url}/tei/nope/embed").feature_extraction("one")
