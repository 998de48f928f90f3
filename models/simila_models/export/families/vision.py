"""Image encoders of transformers: ViT, DINOv2 with registers or without, RAD-DINO, ViT-MAE, ConvNeXt, ResNet."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from simila.domain.errors import InvalidManifest
from simila.domain.manifest import Manifest, Modality
from simila_models.export.checkpoint import checkpoint_folder, load_model
from simila_models.export.golden_bands import pixels_of_bands
from simila_models.export.image_tower import image_tower
from simila_models.export.layers import LayerFeatures
from simila_models.export.pooling import flat, pooled_places
from simila_models.export.reference_preprocessing import checkpoint_processor, pixels_by_processor
from simila_models.export.tower import Tower

_MASKED = "vit_mae"
"""It hides and shuffles patches at random; for vectors none is hidden, and all keep their order."""


class VisionFeatures(nn.Module):
    """Normalised pixels `float32 [batch, channels, height, width]` to `float32 [batch, d]`."""

    def __init__(self, model: Any, pooling: str) -> None:
        super().__init__()
        self.model = model
        self.pooling = pooling
        self.first_patch = 1 + getattr(model.config, "num_register_tokens", 0)
        self.is_masked = model.config.model_type == _MASKED

    def forward(self, pixels: Tensor) -> Tensor:
        order = (
            {"noise": torch.arange(self.model.embeddings.patch_embeddings.num_patches).expand(pixels.shape[0], -1)}
            if self.is_masked
            else {}
        )
        output = self.model(pixel_values=pixels, **order)
        if self.pooling == "model":
            return flat(output.pooler_output)
        return pooled_places(output.last_hidden_state, self.pooling, first_patch=self.first_patch)


def towers(manifest: Manifest, files: Mapping[str, Path]) -> dict[Modality, Callable[[], Tower]]:
    """Give the image tower. Roles are the paths of a checkpoint's files; architecture: layer, if wanted."""
    if manifest.image is None:
        raise InvalidManifest(f"manifest {manifest.name}: family {manifest.family} needs an [image] tower")
    pooling, layer = manifest.image.pooling, manifest.architecture.get("layer")
    with checkpoint_folder(files) as folder:
        masking = {"mask_ratio": 0.0} if AutoConfig.from_pretrained(folder).model_type == _MASKED else {}
        model = load_model(AutoModel, folder, optional=() if pooling == "model" else ("pooler.",), **masking)
        prepare = (
            partial(pixels_by_processor, checkpoint_processor(folder))
            if manifest.image.is_rgb
            else partial(pixels_of_bands, manifest.image)
        )
    features = LayerFeatures(model, str(layer)) if layer else VisionFeatures(model, pooling)
    return {Modality.IMAGE: partial(image_tower, manifest.image, features, features, prepare)}
