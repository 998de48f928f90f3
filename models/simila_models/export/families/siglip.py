"""SigLIP and SigLIP 2 of fixed resolution (Zhai et al. 2023; Tschannen et al. 2025)."""

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
from simila_models.export.families.clip import ImageFeatures
from simila_models.export.image_tower import image_tower
from simila_models.export.reference_preprocessing import checkpoint_processor, pixels_by_processor
from simila_models.export.text_tower import text_tower
from simila_models.export.tokenizers import load_tokenizer
from simila_models.export.tower import Tower


class FixedLengthText(nn.Module):
    """Ids and mask, int64 [batch, tokens], to `float32 [batch, d], unit length`.

    The model was trained on texts padded to its context length, and reads its last position: the graph pads.
    """

    def __init__(self, model: Any, length: int, pad_id: int, *, pads_left: bool, sees_mask: bool) -> None:
        super().__init__()
        self.model = model
        self.length = length
        self.pad_id = pad_id
        self.pads_left = pads_left
        self.sees_mask = sees_mask

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        tokens = attention_mask.sum(1, keepdim=True)
        place = torch.arange(self.length).unsqueeze(0) - (self.length - tokens if self.pads_left else 0 * tokens)
        given = (place >= 0) & (place < tokens)
        ids = input_ids.gather(1, place.clamp(min=0).minimum(tokens - 1))
        options = {"attention_mask": given.long()} if self.sees_mask else {}
        features = self.model.get_text_features(input_ids=torch.where(given, ids, self.pad_id), **options)
        return normalize(features.pooler_output, dim=1)


def towers(manifest: Manifest, files: Mapping[str, Path]) -> dict[Modality, Callable[[], Tower]]:
    """Give both towers. Roles are the paths of a checkpoint's files."""
    if manifest.image is None or manifest.text is None:
        raise InvalidManifest(f"manifest {manifest.name}: family {manifest.family} needs an [image] and a [text] tower")
    length = manifest.text.context_length_tokens
    with checkpoint_folder(files) as folder:
        model = load_model(AutoModel, folder)
        tokenizer = load_tokenizer(folder, length)
        prepare = partial(pixels_by_processor, checkpoint_processor(folder))

    def reference(text: str) -> Tensor:
        tokens = tokenizer.library(text, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        vector: Tensor = model.get_text_features(**tokens).pooler_output[0]
        return vector

    image = ImageFeatures(model)
    text = FixedLengthText(
        model,
        length,
        tokenizer.library.pad_token_id,
        pads_left=tokenizer.library.padding_side == "left",
        sees_mask="attention_mask" in tokenizer.library.model_input_names,
    )
    return {
        Modality.IMAGE: partial(image_tower, manifest.image, image, image, prepare),
        Modality.TEXT: partial(text_tower, manifest.text, text, reference, tokenizer),
    }
