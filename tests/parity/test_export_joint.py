"""simila-lite's graphs against ConSE (Norouzi et al. 2013) written down in a few lines of numpy."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from skimage import data
from tokenizers import Tokenizer

from simila.domain.manifest import Modality
from simila.domain.model_repository import ModelRepository
from simila.domain.vectors import Float64
from simila_models.catalogue import bundled_manifests
from simila_models.progress import Silent
from simila_models.sources import fetch_sources
from tolerances import PARITY_COSINE

LABELS = ["a photo of a cat", "a photo of a cup of coffee", "a photo of a rocket launch", "a photo of a page of text"]


def unit(rows: Float64) -> Float64:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def embed_texts(repository: ModelRepository, name: str, texts: list[str]) -> Float64:
    """Run a text tower on one text at a time: float64 [n, 384]."""
    tower = repository.exported_tower(bundled_manifests()[name], Modality.TEXT)
    session = ort.InferenceSession(tower.onnx, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(tower.tokenizer))
    rows = [np.array([tokenizer.encode(text).ids]) for text in texts]
    vectors = [session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0] for ids in rows]
    return np.concatenate(vectors).astype(np.float64)


@pytest.fixture(scope="module")
def sources(data_dir: Path, exported_repository: ModelRepository) -> dict[str, Path]:
    assert exported_repository.is_current(bundled_manifests()["simila-lite"])
    return fetch_sources(bundled_manifests()["simila-lite"], data_dir / "sources", Silent())


@pytest.fixture(scope="module")
def class_vectors(sources: dict[str, Path], exported_repository: ModelRepository) -> Float64:
    names = sources["class_names"].read_text(encoding="utf-8").splitlines()
    return embed_texts(exported_repository, "all-minilm-l6-v2", names)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    arrays = (data.chelsea(), data.coffee(), data.rocket(), np.repeat(data.page()[..., None], 3, axis=2))
    squares = [np.asarray(Image.fromarray(array).resize((224, 224))) for array in arrays]
    return np.stack(squares).transpose(0, 3, 1, 2).copy()


@pytest.fixture(scope="module")
def image_vectors(pixels: np.ndarray, exported_repository: ModelRepository) -> Float64:
    tower = exported_repository.exported_tower(bundled_manifests()["simila-lite"], Modality.IMAGE)
    session = ort.InferenceSession(tower.onnx, providers=["CPUExecutionProvider"])
    return session.run(["embedding"], {"pixels": pixels})[0].astype(np.float64)


def test_images_are_the_expected_class_vector(
    sources: dict[str, Path], class_vectors: Float64, pixels: np.ndarray, image_vectors: Float64
) -> None:
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(sources["image_weights"], weights_only=True))
    with torch.no_grad():
        features = network.eval().extract_features((torch.from_numpy(pixels).float() - 127) / 128).mean((2, 3))
        logits = network._fc(features).double().numpy()
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    reference = unit(probabilities @ (class_vectors - class_vectors.mean(0)))
    assert np.einsum("nd,nd->n", image_vectors, reference).min() >= PARITY_COSINE


def test_texts_are_minilms_without_the_mean_of_the_classes(
    class_vectors: Float64, exported_repository: ModelRepository
) -> None:
    vectors = embed_texts(exported_repository, "simila-lite", LABELS)
    minilm = embed_texts(exported_repository, "all-minilm-l6-v2", LABELS)
    reference = unit(minilm - class_vectors.mean(0))
    assert np.einsum("nd,nd->n", vectors, reference).min() >= PARITY_COSINE
    assert np.einsum("nd,nd->n", vectors, minilm).max() < 0.99


def test_photographs_find_labels_that_imagenet_does_not_have(
    image_vectors: Float64, exported_repository: ModelRepository
) -> None:
    cosines = image_vectors @ embed_texts(exported_repository, "simila-lite", LABELS).T
    assert cosines.argmax(1).tolist() == [0, 1, 2, 3]
