"""EfficientNet-Lite (Tan and Le 2019): the averaged features before the classifier, unit length."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

from simila.domain.errors import InvalidManifest
from simila.domain.manifest import Manifest, Modality
from simila_models.export.image_tower import image_tower
from simila_models.export.reference_preprocessing import manifest_processor, pixels_by_processor
from simila_models.export.tower import Tower


class PooledFeatures(nn.Module):
    """Normalised pixels `float32 [batch, 3, height, width]` to the averaged features `float32 [batch, 1280]`."""

    def __init__(self, network: EfficientNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.network.extract_features(pixels)
        return features.mean((2, 3))


def towers(manifest: Manifest, files: Mapping[str, Path]) -> dict[Modality, Callable[[], Tower]]:
    """Give the image tower. Role: image_weights; architecture: image."""
    network = load_network(manifest, files)
    assert manifest.image
    reference = partial(reference_features, network)
    prepare = partial(pixels_by_processor, manifest_processor(manifest.image))
    return {Modality.IMAGE: partial(image_tower, manifest.image, PooledFeatures(network), reference, prepare)}


def reference_features(network: EfficientNet, pixels: Tensor) -> Tensor:
    """Pool as the library does in its own `forward`, which prints when it is called."""
    pooled: Tensor = network._avg_pooling(network.extract_features(pixels))  # noqa: SLF001
    return pooled.flatten(1)


def load_network(manifest: Manifest, files: Mapping[str, Path]) -> EfficientNet:
    """Load the network that the manifest names.

    Raises:
        InvalidManifest: there is no [image] tower, the architecture is unknown, or the weights do not fit it.

    """
    if manifest.image is None:
        raise InvalidManifest(f"manifest {manifest.name}: family {manifest.family} needs an [image] tower")
    weights_file = files[manifest.file("image_weights").role]
    architecture = manifest.architecture.get("image")
    try:
        network = EfficientNet.from_name(architecture, image_size=manifest.image.size_pixels)
        network.load_state_dict(torch.load(weights_file, map_location="cpu", weights_only=True))
    except (ValueError, RuntimeError) as error:
        message = (
            f"manifest {manifest.name}: architecture.image = '{architecture}' does not go with the weights: {error}"
        )
        raise InvalidManifest(message) from error
    return network.eval()
