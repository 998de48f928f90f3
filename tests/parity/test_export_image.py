"""EfficientNet's graphs against the torch network on photographs."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from skimage import data

from simila.domain.golden import read_golden_set
from simila.domain.manifest import Modality
from simila.domain.model_repository import ModelRepository
from simila_models.catalogue import bundled_manifests
from simila_models.progress import Silent
from simila_models.sources import fetch_sources
from tolerances import PARITY_COSINE


def photographs(size_pixels: int) -> np.ndarray:
    """Photographs that ship with scikit-image: uint8 [4, 3, size_pixels, size_pixels]."""
    arrays = (data.astronaut(), data.chelsea(), data.coffee(), data.rocket())
    resized = [np.asarray(Image.fromarray(array).resize((size_pixels, size_pixels))) for array in arrays]
    return np.stack(resized).transpose(0, 3, 1, 2).copy()


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-lite2"])
def test_features_equal_the_torch_networks(name: str, exported_repository: ModelRepository, data_dir: Path) -> None:
    manifest = bundled_manifests()[name]
    assert manifest.image
    pixels = photographs(manifest.image.size_pixels)
    tower = exported_repository.exported_tower(manifest, Modality.IMAGE)
    session = ort.InferenceSession(tower.onnx, providers=["CPUExecutionProvider"])
    (vectors,) = session.run(["embedding"], {"pixels": pixels})

    network = EfficientNet.from_name(name)
    weights = fetch_sources(manifest, data_dir / "sources", Silent())["image_weights"]
    network.load_state_dict(torch.load(weights, weights_only=True))
    with torch.no_grad():
        features = network.eval().extract_features((torch.from_numpy(pixels).float() - 127) / 128)
    reference = features.double().mean((2, 3)).numpy()
    reference /= np.linalg.norm(reference, axis=1, keepdims=True)

    cosines = vectors @ reference.T
    assert np.diag(cosines).min() >= PARITY_COSINE
    assert (cosines - np.eye(4)).max() < 0.9
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    alone = np.concatenate([session.run(["embedding"], {"pixels": row[None]})[0] for row in pixels])
    assert np.einsum("nd,nd->n", alone, vectors).min() >= PARITY_COSINE


@pytest.mark.parametrize(("name", "size_pixels"), [("efficientnet-lite0", 224), ("efficientnet-lite2", 260)])
def test_only_the_batch_is_dynamic(name: str, size_pixels: int, exported_repository: ModelRepository) -> None:
    tower = exported_repository.exported_tower(bundled_manifests()[name], Modality.IMAGE)
    session = ort.InferenceSession(tower.onnx, providers=["CPUExecutionProvider"])
    (pixels,), (output,) = session.get_inputs(), session.get_outputs()
    assert (pixels.name, pixels.shape, pixels.type) == (
        "pixels",
        ["batch", 3, size_pixels, size_pixels],
        "tensor(uint8)",
    )
    assert (output.name, output.shape, output.type) == ("embedding", ["batch", 1280], "tensor(float)")


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-lite2", "simila-lite"])
def test_golden_images_have_vectors_of_their_own(name: str, exported_repository: ModelRepository) -> None:
    """Otherwise a server that mixed them up, or saw only noise, would hold the certificate."""
    tower = exported_repository.exported_tower(bundled_manifests()[name], Modality.IMAGE)
    golden = read_golden_set(tower.golden, Modality.IMAGE)
    cosines = golden.vectors @ golden.vectors.T
    assert (cosines - 2 * np.eye(len(cosines))).max() < 0.98
