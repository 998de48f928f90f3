"""MiniLM's graph against sentence-transformers, which shares nothing with the exporter but torch."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from tokenizers import Tokenizer

from reference_encoders import sentence_transformers_minilm
from simila.domain.manifest import Manifest, Modality
from simila.domain.model_repository import ModelRepository, TowerFiles
from simila.domain.vectors import Float32
from simila_models.catalogue import bundled_manifests
from tolerances import PARITY_COSINE

SENTENCE = "a grey cat sleeps on the warm stove while rain falls over old harbour towns and nobody minds"
WORDS = SENTENCE.split()
TEXTS = [
    " ".join(WORDS[(start + step * 7) % len(WORDS)] + ("" if step % 5 else ",") for step in range(1 + start * 2))
    for start in range(0, 200, 4)
]


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return bundled_manifests()["all-minilm-l6-v2"]


@pytest.fixture(scope="module")
def tower(exported_repository: ModelRepository, manifest: Manifest) -> TowerFiles:
    return exported_repository.exported_tower(manifest, Modality.TEXT)


@pytest.fixture(scope="module")
def session(tower: TowerFiles) -> ort.InferenceSession:
    return ort.InferenceSession(tower.onnx, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def tokenizer(tower: TowerFiles) -> Tokenizer:
    return Tokenizer.from_file(str(tower.tokenizer))


@pytest.fixture(scope="module")
def reference(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Float32:
    """The fifty texts by sentence-transformers, each alone."""
    model = sentence_transformers_minilm(data_dir, tmp_path_factory.mktemp("checkpoint"))
    return np.asarray(model.encode(TEXTS, batch_size=1, show_progress_bar=False), dtype=np.float32)


def encode(session: ort.InferenceSession, tokenizer: Tokenizer, texts: list[str]) -> Float32:
    ids = [tokenizer.encode(text).ids for text in texts]
    ids = [[*row[:255], row[-1]] if len(row) > 256 else row for row in ids]
    longest = max(map(len, ids))
    padded = np.array([row + [0] * (longest - len(row)) for row in ids], dtype=np.int64)
    mask = np.array([[1] * len(row) + [0] * (longest - len(row)) for row in ids], dtype=np.int64)
    (vectors,) = session.run(["embedding"], {"input_ids": padded, "attention_mask": mask})
    return np.asarray(vectors)


def lowest_cosine(vectors: Float32, reference: Float32) -> float:
    return float(np.einsum("nd,nd->n", vectors, reference).min())


def test_fifty_texts_in_one_padded_batch(session, tokenizer, reference: Float32) -> None:
    lengths = {len(tokenizer.encode(text).ids) for text in TEXTS}
    assert min(lengths) < 5
    assert max(lengths) > 256
    assert len(lengths) > 40
    vectors = encode(session, tokenizer, TEXTS)
    assert lowest_cosine(vectors, reference) >= PARITY_COSINE
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_fifty_texts_alone(session, tokenizer, reference: Float32) -> None:
    vectors = np.concatenate([encode(session, tokenizer, [text]) for text in TEXTS])
    assert lowest_cosine(vectors, reference) >= PARITY_COSINE


def test_the_texts_tell_vectors_apart(reference: Float32) -> None:
    """Neighbouring texts are similar, but a vector of the wrong row would fail the tests above."""
    cosines = np.einsum("nd,nd->n", reference[:-1], reference[1:])
    assert np.median(cosines) < PARITY_COSINE - 0.001


def test_batch_and_tokens_are_dynamic(session: ort.InferenceSession) -> None:
    assert {value.name: (value.shape, value.type) for value in session.get_inputs()} == {
        "input_ids": (["batch", "tokens"], "tensor(int64)"),
        "attention_mask": (["batch", "tokens"], "tensor(int64)"),
    }
    (output,) = session.get_outputs()
    assert (output.name, output.shape, output.type) == ("embedding", ["batch", 384], "tensor(float)")


def test_the_tokenizer_file_sets_no_limit_and_no_padding(tokenizer: Tokenizer) -> None:
    assert tokenizer.truncation is None
    assert tokenizer.padding is None
    assert len(tokenizer.encode("word " * 600).ids) == 602
