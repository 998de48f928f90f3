"""Image encoders of timm (Wightman 2019): what the classifier would see, or an inner layer."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import timm
from timm.data import create_transform, resolve_model_data_config

from simila.domain.errors import InvalidManifest
from simila.domain.manifest import Manifest, Modality
from simila_models.export.checkpoint import checkpoint_folder
from simila_models.export.golden_bands import pixels_of_bands
from simila_models.export.image_tower import image_tower
from simila_models.export.layers import LayerFeatures
from simila_models.export.reference_preprocessing import pixels_by_transform
from simila_models.export.tower import Tower


def towers(manifest: Manifest, files: Mapping[str, Path]) -> dict[Modality, Callable[[], Tower]]:
    """Give the image tower. Roles are the paths of a checkpoint's files; architecture: layer, if wanted."""
    if manifest.image is None:
        raise InvalidManifest(f"manifest {manifest.name}: family {manifest.family} needs an [image] tower")
    with checkpoint_folder(files) as folder:
        network = load_network(folder)
    transform = create_transform(**resolve_model_data_config(network), is_training=False)
    layer = manifest.architecture.get("layer")
    features = LayerFeatures(network, str(layer)) if layer else network
    by_transform = partial(pixels_by_transform, manifest.image, transform)
    prepare = by_transform if manifest.image.is_rgb else partial(pixels_of_bands, manifest.image)
    return {Modality.IMAGE: partial(image_tower, manifest.image, features, features, prepare)}


def load_network(folder: Path) -> Any:
    """Load a network without its classifier.

    Raises:
        InvalidManifest: the architecture is unknown to timm, or the weights do not fit it.

    """
    try:
        network = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    except (OSError, RuntimeError, KeyError) as error:
        raise InvalidManifest(f"timm cannot read the checkpoint: {error}") from error
    network.reset_classifier(0)  # not before: timm would then forgive weights that are missing
    return network
