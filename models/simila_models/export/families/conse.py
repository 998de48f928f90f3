"""A joint space of an image classifier and a sentence encoder: ConSE (Norouzi et al. 2013).

An image is the mean of the classes' text vectors, weighted with their probabilities. Both towers are centred on the
mean of the class vectors: sentence encoders put all short phrases into one narrow cone, which hides what tells them
apart.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn
from torch.nn.functional import normalize

from simila.domain.errors import InvalidManifest
from simila.domain.manifest import Manifest, Modality
from simila_models.export.families.efficientnet_lite import PooledFeatures, load_network, reference_features
from simila_models.export.families.sentence import SentenceEncoder, load_sentence_encoder
from simila_models.export.image_tower import image_tower
from simila_models.export.reference_preprocessing import manifest_processor, pixels_by_processor
from simila_models.export.text_tower import text_tower
from simila_models.export.tower import Tower


class ExpectedClassVector(nn.Module):
    """Normalised pixels to the expected class vector `float32 [batch, d]`."""

    class_vectors: Tensor  # [classes, d], centred

    def __init__(self, network: EfficientNet, class_vectors: Tensor, temperature: float) -> None:
        super().__init__()
        self.features = PooledFeatures(network)
        self.classifier = network._fc  # noqa: SLF001
        self.register_buffer("class_vectors", class_vectors)
        self.temperature = temperature

    def forward(self, pixels: Tensor) -> Tensor:
        logits = self.classifier(self.features(pixels))
        return torch.softmax(logits / self.temperature, dim=1) @ self.class_vectors


class CentredText(nn.Module):
    """Ids and mask to `float32 [batch, d], unit length`, after the centre is taken away."""

    def __init__(self, text: nn.Module, centre: Tensor) -> None:
        super().__init__()
        self.text = text
        self.register_buffer("centre", centre)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return normalize(self.text(input_ids, attention_mask) - self.centre, dim=1)


def towers(manifest: Manifest, files: Mapping[str, Path]) -> dict[Modality, Callable[[], Tower]]:
    """Give both towers.

    Roles: image_weights, text_weights, text_config, tokenizer, class_names; architecture: image, temperature.
    """
    network, encoder = load_network(manifest, files), load_sentence_encoder(manifest, files)
    assert manifest.image
    assert manifest.text
    temperature = _temperature(manifest)
    class_vectors = _class_vectors(encoder, files[manifest.file("class_names").role])
    if network._fc.out_features != len(class_vectors):  # noqa: SLF001
        message = f"{len(class_vectors)} class names for a classifier of {network._fc.out_features} classes"  # noqa: SLF001
        raise InvalidManifest(f"manifest {manifest.name}: {message}")
    centre = class_vectors.mean(0)
    image_graph = ExpectedClassVector(network, class_vectors - centre, temperature)
    image_reference = partial(_reference_image_vectors, network, class_vectors, temperature)
    prepare = partial(pixels_by_processor, manifest_processor(manifest.image))
    text_graph = CentredText(encoder.graph, centre)
    return {
        Modality.IMAGE: partial(image_tower, manifest.image, image_graph, image_reference, prepare),
        Modality.TEXT: partial(
            text_tower, manifest.text, text_graph, lambda text: encoder.vector(text) - centre, encoder.tokenizer
        ),
    }


def _temperature(manifest: Manifest) -> float:
    temperature = manifest.architecture.get("temperature")
    if not isinstance(temperature, float) or temperature <= 0:
        message = f"manifest {manifest.name}: architecture.temperature must be a number above 0, not {temperature!r}"
        raise InvalidManifest(message)
    return temperature


def _class_vectors(encoder: SentenceEncoder, names_file: Path) -> Tensor:
    """Encode every class name, one a line: `float32 [classes, d], unit length`."""
    names = names_file.read_text(encoding="utf-8").splitlines()
    with torch.no_grad():
        return torch.stack([encoder.vector(name) for name in names])


def _reference_image_vectors(
    network: EfficientNet, class_vectors: Tensor, temperature: float, pixels: Tensor
) -> Tensor:
    """Equation 2 of the paper over all classes, in float64, centred afterwards."""
    logits = network._fc(reference_features(network, pixels)).double()  # noqa: SLF001
    probabilities = torch.exp(logits / temperature - torch.logsumexp(logits / temperature, 1, keepdim=True))
    vectors = class_vectors.double()
    return probabilities @ vectors - vectors.mean(0)
