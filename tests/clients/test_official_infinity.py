"""Infinity's own client, unchanged."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import numpy as np
import pytest

from api.wire import b64, embed, vectors
from clients.conftest import JOINT_ENCODER, TEXT_ENCODER, Addresses
from infinity_package import installed
from tolerances import FLOAT32_VALUES

pytestmark = pytest.mark.protocol("Infinity", client="infinity-client")


@pytest.fixture(scope="module")
def infinity(data_dir: Path) -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(installed(data_dir))
        importlib.import_module("infinity_client.api.default.embeddings")
        yield importlib.import_module("infinity_client")


def ask(infinity: ModuleType, addresses: Addresses, body: Any) -> Any:
    with infinity.Client(base_url=addresses.url) as client:
        return infinity.api.default.embeddings.sync_detailed(client=client, body=body)


def test_texts(infinity: ModuleType, addresses: Addresses, direct: httpx.Client) -> None:
    text = infinity.models.OpenAIEmbeddingInputText
    answer = ask(infinity, addresses, text(["one", "two"], TEXT_ENCODER)).parsed
    served = np.array([entry.embedding for entry in answer.data], dtype=np.float32)
    np.testing.assert_allclose(served, vectors(embed(direct, TEXT_ENCODER, ["one", "two"])), atol=FLOAT32_VALUES)
    unnamed = ask(infinity, addresses, text(["one"])).parsed
    np.testing.assert_allclose(unnamed.data[0].embedding, served[0], atol=FLOAT32_VALUES)


def test_images(infinity: ModuleType, addresses: Addresses, direct: httpx.Client, photo) -> None:
    uri = f"data:image/png;base64,{b64(photo('coffee.png'))}"
    image = infinity.models.OpenAIEmbeddingInputImage
    answer = ask(infinity, addresses, image([uri], JOINT_ENCODER)).parsed
    expected = vectors(embed(direct, JOINT_ENCODER, uri))[0]
    np.testing.assert_allclose(answer.data[0].embedding, expected, atol=FLOAT32_VALUES)


def test_sound_is_refused(infinity: ModuleType, addresses: Addresses) -> None:
    answer = ask(infinity, addresses, infinity.models.OpenAIEmbeddingInputAudio(["AAAA"], JOINT_ENCODER))
    assert answer.status_code == httpx.codes.BAD_REQUEST
