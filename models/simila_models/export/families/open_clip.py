"""CLIP as OpenCLIP trains it (Ilharco et al. 2021): image and text in one space."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from simila.domain.errors import InvalidManifest
from simila.domain.manifest import Manifest, Modality
from simila_models.export.checkpoint import checkpoint_folder
from simila_models.export.image_tower import image_tower
from simila_models.export.open_clip_tokenizer import convert_tokenizer
from simila_models.export.reference_preprocessing import pixels_by_transform
from simila_models.export.text_tower import text_tower
from simila_models.export.tower import Tower


class ImageFeatures(nn.Module):
    """Normalised pixels `float32 [batch, 3, height, width]` to `float32 [batch, d]`."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.model.encode_image(pixels)
        return features


class TextFeatures(nn.Module):
    """Ids and mask, int64 [batch, tokens], to `float32 [batch, d], unit length`.

    OpenCLIP pads with zeros, as the server does, and no token looks at what stands behind it.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return normalize(self.model.encode_text(input_ids * attention_mask), dim=1)


def towers(manifest: Manifest, files: Mapping[str, Path]) -> dict[Modality, Callable[[], Tower]]:
    """Give both towers. Roles are the paths of a checkpoint's files."""
    if manifest.image is None or manifest.text is None:
        raise InvalidManifest(f"manifest {manifest.name}: family {manifest.family} needs an [image] and a [text] tower")
    with checkpoint_folder(files) as folder:
        model, transform, library = load_checkpoint(folder)
    tokenizer = convert_tokenizer(library, manifest.text.context_length_tokens)

    def reference(text: str) -> Tensor:
        vector: Tensor = model.encode_text(library([text]))[0]
        return vector

    image, text = ImageFeatures(model), TextFeatures(model)
    prepare = partial(pixels_by_transform, manifest.image, transform)
    return {
        Modality.IMAGE: partial(image_tower, manifest.image, image, image, prepare),
        Modality.TEXT: partial(text_tower, manifest.text, text, reference, tokenizer),
    }


def load_checkpoint(folder: Path) -> tuple[Any, Any, Any]:
    """Load model, image transform and tokenizer.

    Raises:
        InvalidManifest: OpenCLIP cannot read the checkpoint.

    """
    torch.backends.mha.set_fastpath_enabled(False)  # its operator has no form in ONNX
    place = f"local-dir:{folder}"
    try:
        model, _, transform = open_clip.create_model_and_transforms(place)
        return model.eval(), transform, open_clip.get_tokenizer(place)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise InvalidManifest(f"OpenCLIP cannot read the checkpoint: {error}") from error
