"""OpenAI's own client, blocking and not, unchanged."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import openai
import pytest
from tokenizers import Tokenizer

from api.gated_server import GatedServer, gated_server
from api.wire import embed, vectors
from clients.conftest import JOINT_ENCODER, TEXT_ENCODER, Addresses
from simila.domain.errors import Overloaded
from tolerances import FLOAT32_VALUES

pytestmark = pytest.mark.protocol("OpenAI", client="openai")

TEXTS = ["one", "two"]


@pytest.fixture(scope="module")
def client(addresses: Addresses) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{addresses.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[GatedServer]:
    with gated_server(tmp_path) as server:
        yield server


def rows(answer: openai.types.CreateEmbeddingResponse) -> np.ndarray:
    return np.array([entry.embedding for entry in answer.data], dtype=np.float32)


def test_its_default_base64_becomes_the_floats(client: openai.OpenAI, direct: httpx.Client) -> None:
    raw = client.embeddings.with_raw_response.create(model=TEXT_ENCODER, input=TEXTS)
    assert b'"encoding_format":"base64"' in raw.http_request.content
    expected = embed(direct, TEXT_ENCODER, TEXTS)
    np.testing.assert_allclose(rows(raw.parse()), vectors(expected), atol=FLOAT32_VALUES)
    assert raw.parse().usage.total_tokens == expected["usage"]["total_tokens"]


def test_the_asynchronous_client(addresses: Addresses, direct: httpx.Client) -> None:
    async def ask() -> list[openai.types.CreateEmbeddingResponse]:
        async with openai.AsyncOpenAI(base_url=f"{addresses.url}/v1", api_key="unused") as client:
            questions = (client.embeddings.create(model=TEXT_ENCODER, input=text) for text in TEXTS)
            return await asyncio.gather(*questions)

    served = np.concatenate([rows(answer) for answer in asyncio.run(ask())])
    np.testing.assert_allclose(served, vectors(embed(direct, TEXT_ENCODER, TEXTS)), atol=FLOAT32_VALUES)


def test_token_arrays(client: openai.OpenAI, direct: httpx.Client, exported_repository) -> None:
    tokenizer = Tokenizer.from_file(str(exported_repository.tower(TEXT_ENCODER, "text").tokenizer))
    tokens = [encoding.ids for encoding in tokenizer.encode_batch(TEXTS, add_special_tokens=False)]
    expected = vectors(embed(direct, TEXT_ENCODER, TEXTS))
    served = rows(client.embeddings.create(model=TEXT_ENCODER, input=tokens))
    np.testing.assert_allclose(served, expected, atol=FLOAT32_VALUES)
    alone = rows(client.embeddings.create(model=TEXT_ENCODER, input=tokens[0]))
    np.testing.assert_allclose(alone, expected[:1], atol=FLOAT32_VALUES)


def test_dimensions_are_cut_and_of_unit_length(client: openai.OpenAI, direct: httpx.Client) -> None:
    served = rows(client.embeddings.create(model=TEXT_ENCODER, input=TEXTS, dimensions=64))
    cut = vectors(embed(direct, TEXT_ENCODER, TEXTS))[:, :64]
    expected = cut / np.linalg.norm(cut, axis=1, keepdims=True)
    np.testing.assert_allclose(served, expected, atol=FLOAT32_VALUES)


def test_models_are_listed_and_described(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [TEXT_ENCODER, JOINT_ENCODER]
    assert client.models.retrieve(TEXT_ENCODER).owned_by == "simila"


@pytest.mark.parametrize(
    ("request_", "kind", "code"),
    [
        ({"model": TEXT_ENCODER, "input": []}, openai.BadRequestError, "invalid_request"),
        ({"model": TEXT_ENCODER, "input": "a", "dimensions": 385}, openai.BadRequestError, "invalid_input"),
        ({"model": TEXT_ENCODER, "input": [[10**9]]}, openai.BadRequestError, "invalid_input"),
        ({"model": "nope", "input": "a"}, openai.NotFoundError, "model_not_found"),
        (
            {"model": TEXT_ENCODER, "input": "word " * 600, "extra_body": {"truncate": False}},
            openai.UnprocessableEntityError,
            "context_length_exceeded",
        ),
        ({"model": TEXT_ENCODER, "input": ["a"] * 65}, openai.APIStatusError, "limit_exceeded"),
    ],
)
def test_errors_are_its_own_exceptions(client: openai.OpenAI, request_: dict, kind: type, code: str) -> None:
    with pytest.raises(kind) as caught:
        client.embeddings.create(**request_)
    assert (caught.value.code, caught.value.type) == (code, "invalid_request_error")


def test_an_overloaded_server_is_its_rate_limit(gated: GatedServer) -> None:
    gated.tower.refusal = Overloaded("too much work waits", retry_after_seconds=2.4)
    with (
        openai.OpenAI(base_url=f"{gated.url}/v1", api_key="unused", max_retries=0) as client,
        pytest.raises(openai.RateLimitError) as caught,
    ):
        client.embeddings.create(model="words", input="a")
    assert caught.value.response.headers["retry-after"] == "3"


def test_it_asks_again_after_the_time_it_is_told(gated: GatedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    gated.tower.refusal = Overloaded("too much work waits", retry_after_seconds=2.4)
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        gated.tower.refusal = None

    monkeypatch.setattr("openai._base_client.time", SimpleNamespace(sleep=wait, time=time.time))
    with openai.OpenAI(base_url=f"{gated.url}/v1", api_key="unused", max_retries=1) as client:
        assert len(client.embeddings.create(model="words", input="a").data) == 1
    assert waits == [3]


def test_a_deadline_is_its_server_error(gated: GatedServer) -> None:
    gated.tower.gate.clear()
    with (
        openai.OpenAI(base_url=f"{gated.url}/v1", api_key="unused", max_retries=0) as client,
        pytest.raises(openai.InternalServerError, match="was not done within"),
    ):
        client.embeddings.create(model="words", input="a", extra_headers={"x-request-timeout": "0.05"})
