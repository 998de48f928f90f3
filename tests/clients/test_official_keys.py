"""The keys of a server that wants them, as each official client sends its own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openai
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from huggingface_hub import InferenceClient, close_session
from huggingface_hub.errors import HfHubHTTPError
from tritonclient.utils import InferenceServerException

from api.conftest import serving
from clients.conftest import TEXT_ENCODER, held_port
from simila.domain.access import Scope
from simila.settings import Settings
from simila.storage.api_keys import ApiKeys

pytestmark = pytest.mark.protocol("API keys")


@dataclass(frozen=True)
class Locked:
    url: str
    grpc: str
    reader: str
    """A key that may embed, and no more."""


@pytest.fixture(scope="module")
def locked(data_folder: Callable[[], Path]) -> Iterator[Locked]:
    with held_port() as port:
        settings = Settings(data_dir=data_folder(), grpc_port=port, encoders=(TEXT_ENCODER,))
        _, reader = ApiKeys(settings.keys_path).create("reader", Scope.READ)
        with serving(settings) as url:
            yield Locked(url, f"127.0.0.1:{port}", reader)


def test_openai(locked: Locked) -> None:
    with openai.OpenAI(base_url=f"{locked.url}/v1", api_key=locked.reader) as client:
        assert len(client.embeddings.create(model=TEXT_ENCODER, input="a").data) == 1
        with pytest.raises(openai.PermissionDeniedError) as forbidden:
            client.models.delete(TEXT_ENCODER)
        assert forbidden.value.type == "permission_error"
        wrong = client.with_options(api_key="wrong")
        with pytest.raises(openai.AuthenticationError) as unknown:
            wrong.embeddings.create(model=TEXT_ENCODER, input="a")
        assert unknown.value.code == "invalid_api_key"


def test_hugging_face(locked: Locked) -> None:
    assert InferenceClient(locked.url, token=locked.reader).feature_extraction("a").shape == (1, 384)
    with pytest.raises(HfHubHTTPError, match="401"):
        InferenceClient(locked.url, token="wrong").feature_extraction("a")
    close_session()


@pytest.mark.parametrize("module", [triton_http, triton_grpc])
def test_triton(locked: Locked, module) -> None:
    address = locked.grpc if module is triton_grpc else locked.url.removeprefix("http://")
    headers = {"authorization": f"Bearer {locked.reader}"}
    text = module.InferInput("text", [1, 1], "BYTES")
    text.set_data_from_numpy(np.array([[b"a"]], dtype=object))
    with module.InferenceServerClient(address) as client:
        assert client.infer(TEXT_ENCODER, [text], headers=headers).as_numpy("embedding").shape == (1, 384)
        with pytest.raises(InferenceServerException, match="key"):
            client.infer(TEXT_ENCODER, [text])
        with pytest.raises(InferenceServerException, match="admin"):
            client.unload_model(TEXT_ENCODER, headers=headers)
