"""The ImageNet logits of `simila-lite`, which its exported graph keeps to itself, computed with torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from class_folders import Photograph, in_chunks
from conse_variants import ImagenetOutputs

from simila.domain.manifest import Manifest
from simila_models.export.families.efficientnet_lite import load_network, reference_features
from simila_models.export.reference_preprocessing import manifest_processor, normalised_pixels
from simila_models.progress import Progress


def imagenet_outputs(
    manifest: Manifest, files: Mapping[str, Path], photographs: Sequence[Photograph], progress: Progress
) -> ImagenetOutputs:
    """Classify photographs with the checkpoint of the image tower."""
    assert manifest.image
    network = load_network(manifest, files)
    chunks = []
    for chunk in in_chunks(photographs, "torch: ImageNet logits of train photographs", progress):
        pixels = normalised_pixels((photograph.read().data for photograph in chunk), manifest_processor(manifest.image))
        with torch.no_grad():
            chunks.append(network._fc(reference_features(network, torch.from_numpy(pixels))).double().numpy())
    names = files["class_names"].read_text(encoding="utf-8").splitlines()
    return ImagenetOutputs(tuple(names), np.concatenate(chunks))
