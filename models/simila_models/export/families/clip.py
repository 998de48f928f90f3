"""CLIP of transformers (Radford et al. 2021): image and text in one space."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from transformers import AutoModel

from simila.domain.errors import InvalidManifest
from simila.domain.manifest import Manifest, Modality
from simila_models.export.checkpoint import checkpoint_folder, load_model
from simila_models.export.image_tower import image_tower
from simila_models.export.reference_preprocessing import checkpoint_processor, pixels_by_processor
from simila_models.export.text_tower import text_tower
from simila_models.export.tokenizers import load_tokenizer
from simila_models.export.tower import Tower


class ImageFeatures(nn.Module):
    """Normalised pixels `float32 [batch, 3, height, width]` to `float32 [batch, d]`."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.model.get_image_features(pixel_values=pixels).pooler_output
        return features


class TextFeatures(nn.Module):
    """Ids and mask, int64 [batch, tokens], to `float32 [batch, d], unit length`."""

    def __init__(self, model: Any, pad_id: int) -> None:
        super().__init__()
        self.model = model
        self.pad_id = pad_id

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        ids = torch.where(attention_mask.bool(), input_ids, self.pad_id)  # the server pads with zeros
        features = self.model.get_text_features(input_ids=ids, attention_mask=attention_mask)
        return normalize(features.pooler_output, dim=1)


def towers(manifest: Manifest, files: Mapping[str, Path]) -> dict[Modality, Callable[[], Tower]]:
    """Give both towers. Roles are the paths of a checkpoint's files."""
    if manifest.image is None or manifest.text is None:
        raise InvalidManifest(f"manifest {manifest.name}: family {manifest.family} needs an [image] and a [text] tower")
    with checkpoint_folder(files) as folder:
        model = load_model(AutoModel, folder)
        tokenizer = load_tokenizer(folder, manifest.text.context_length_tokens)
        prepare = partial(pixels_by_processor, checkpoint_processor(folder))

    def reference(text: str) -> Tensor:
        tokens = tokenizer.library(text, truncation=True, return_tensors="pt")
        vector: Tensor = model.get_text_features(**tokens).pooler_output[0]
        return vector

    image, text = ImageFeatures(model), TextFeatures(model, tokenizer.library.pad_token_id or 0)
    return {
        Modality.IMAGE: partial(image_tower, manifest.image, image, image, prepare),
        Modality.TEXT: partial(text_tower, manifest.text, text, reference, tokenizer),
    }
