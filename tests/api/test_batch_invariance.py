"""What else is in a batch does not change a vector: hardly at all, and not by a bit where that is asked for."""

import base64

import httpx
import numpy as np
import pytest

from api.conftest import serving
from simila.settings import EngineSettings, Settings
from tolerances import BATCH_INVARIANCE_COSINE

TEXTS = [
    "a",
    "a red bicycle",
    " ",
    "🚲" * 30,
    "the quick brown fox " * 40,
    "مرحبا بالعالم",
    "word " * 500,
    "one two three",
]
PHOTOGRAPHS = ("coffee.png", "hubble_deep_field.jpg", "chelsea.png")


def vectors(api, encoder, inputs):
    body = {"model": encoder, "input": inputs}
    answer = api.post("/v1/embeddings", json=body, headers={"accept": "application/octet-stream"})
    assert answer.status_code == httpx.codes.OK, answer.text
    return np.frombuffer(answer.content, "<f4").reshape(len(inputs), -1)


def alone(api, encoder, inputs):
    return np.concatenate([vectors(api, encoder, [entry]) for entry in inputs])


@pytest.fixture(scope="module")
def images(photo):
    return [{"image": base64.b64encode(photo(name)).decode()} for name in PHOTOGRAPHS]


def test_a_text_has_the_same_vector_alone_and_in_a_batch(api):
    together, singly = vectors(api, "all-minilm-l6-v2", TEXTS), alone(api, "all-minilm-l6-v2", TEXTS)
    assert (together * singly).sum(axis=1).min() >= BATCH_INVARIANCE_COSINE


def test_an_image_has_the_same_vector_alone_and_in_a_batch(api, images):
    together, singly = vectors(api, "efficientnet-lite0", images), alone(api, "efficientnet-lite0", images)
    assert (together * singly).sum(axis=1).min() >= BATCH_INVARIANCE_COSINE


def test_exact_precision_gives_the_same_bits(data_folder, images):
    settings = Settings(data_dir=data_folder(), encoders=("simila-lite",), engine=EngineSettings(precision="exact"))
    inputs = [*TEXTS, *images]
    with serving(settings) as url, httpx.Client(base_url=url, timeout=60) as exact:
        assert vectors(exact, "simila-lite", inputs).tobytes() == alone(exact, "simila-lite", inputs).tobytes()
