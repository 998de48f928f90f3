"""LangChain's OpenAI embeddings, unchanged: as texts, and as the token arrays that it sends by default."""

import asyncio
from collections.abc import Callable, Iterator

import httpx
import numpy as np
import openai
import pytest
import tiktoken
from langchain_openai import OpenAIEmbeddings
from tokenizers import Tokenizer

from api.wire import embed, vectors
from clients.conftest import TEXT_ENCODER, Addresses
from tolerances import FLOAT32_VALUES

pytestmark = pytest.mark.protocol("OpenAI", client="langchain-openai")

TEXTS = ["one", "a much longer text about something else"]


@pytest.fixture
def langchain_of(addresses: Addresses) -> Iterator[Callable[..., OpenAIEmbeddings]]:
    """Make its embeddings; it closes no connections itself."""
    with openai.DefaultHttpxClient() as http_client:
        yield lambda **options: OpenAIEmbeddings(
            base_url=f"{addresses.url}/v1", api_key="unused", model=TEXT_ENCODER, http_client=http_client, **options
        )


class EncodersOwnVocabulary:
    """Stands in for a tiktoken encoding, of which none is this encoder's."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def encode_ordinary(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids


def test_texts_as_they_are(langchain_of: Callable[..., OpenAIEmbeddings], direct: httpx.Client) -> None:
    langchain = langchain_of(check_embedding_ctx_length=False)
    expected = vectors(embed(direct, TEXT_ENCODER, TEXTS))
    np.testing.assert_allclose(langchain.embed_documents(TEXTS), expected, atol=FLOAT32_VALUES)
    np.testing.assert_allclose(langchain.embed_query(TEXTS[0]), expected[0], atol=FLOAT32_VALUES)


def test_its_asynchronous_calls(langchain_of: Callable[..., OpenAIEmbeddings], direct: httpx.Client) -> None:
    async def ask() -> list[list[float]]:
        async with openai.DefaultAsyncHttpxClient() as http:
            langchain = langchain_of(check_embedding_ctx_length=False, http_async_client=http)
            return await langchain.aembed_documents(TEXTS)

    served = asyncio.run(ask())
    np.testing.assert_allclose(served, vectors(embed(direct, TEXT_ENCODER, TEXTS)), atol=FLOAT32_VALUES)


def test_token_arrays_of_the_encoders_own_vocabulary(
    langchain_of: Callable[..., OpenAIEmbeddings],
    direct: httpx.Client,
    exported_repository,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokenizer = Tokenizer.from_file(str(exported_repository.tower(TEXT_ENCODER, "text").tokenizer))
    monkeypatch.setattr(tiktoken, "get_encoding", lambda _: EncodersOwnVocabulary(tokenizer))
    served = langchain_of().embed_documents(TEXTS)
    np.testing.assert_allclose(served, vectors(embed(direct, TEXT_ENCODER, TEXTS)), atol=FLOAT32_VALUES)
