"""The random CLIP as an encoder that the server serves like any other: a manifest and two exported towers."""

import hashlib
from functools import partial
from pathlib import Path

from torch import Tensor, nn
from torch.nn.functional import normalize
from transformers import CLIPModel, PreTrainedTokenizerFast

from simila.domain.manifest import Manifest, Modality, read_manifest
from simila.domain.model_repository import ModelRepository
from simila_models.export.encoder import TowerMaker, write_towers
from simila_models.export.image_tower import image_tower
from simila_models.export.reference_preprocessing import manifest_processor, pixels_by_processor
from simila_models.export.text_tower import text_tower
from simila_models.export.tokenizers import load_tokenizer
from simila_models.progress import Progress
from speed.clip_checkpoint import CONTEXT_LENGTH_TOKENS, MEAN, SIZE_PIXELS, STD, load_checkpoint, make_checkpoint

CLIP = "clip-vit-b-32-random"


def checkpoint_folder(data_dir: Path) -> Path:
    return data_dir / "checkpoints" / CLIP


class ClipImage(nn.Module):
    """Normalised pixels to `float32 [batch, 512]`."""

    def __init__(self, clip: CLIPModel) -> None:
        super().__init__()
        self.tower = clip.vision_model
        self.projection = clip.visual_projection

    def forward(self, pixels: Tensor) -> Tensor:
        return self.projection(self.tower(pixels).pooler_output)


class ClipText(nn.Module):
    """Ids to `float32 [batch, 512], unit length`; what stands behind the end token is never looked at."""

    def __init__(self, clip: CLIPModel) -> None:
        super().__init__()
        self.tower = clip.text_model
        self.projection = clip.text_projection

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        states = self.tower(input_ids=input_ids, attention_mask=attention_mask)
        return normalize(self.projection(states.pooler_output), dim=1)


def export_random_clip(data_dir: Path, repository: ModelRepository, progress: Progress) -> Manifest:
    """Make checkpoint, manifest and exported towers, each unless it is there."""
    folder = make_checkpoint(checkpoint_folder(data_dir))
    manifest = _written_manifest(data_dir / "manifests" / f"{CLIP}.toml", folder)
    if not repository.is_current(manifest):
        write_towers(manifest, _towers(manifest, folder), repository, progress)
    return manifest


def _towers(manifest: Manifest, folder: Path) -> dict[Modality, TowerMaker]:
    assert manifest.image
    assert manifest.text
    clip = load_checkpoint(folder)
    image, text = ClipImage(clip), ClipText(clip)
    tokenizer = load_tokenizer(folder, manifest.text.context_length_tokens)
    prepare = partial(pixels_by_processor, manifest_processor(manifest.image))
    return {
        Modality.IMAGE: partial(image_tower, manifest.image, image, image, prepare),
        Modality.TEXT: partial(
            text_tower, manifest.text, text, partial(_text_vector, text, tokenizer.library), tokenizer
        ),
    }


def _text_vector(text_graph: ClipText, tokenizer: PreTrainedTokenizerFast, text: str) -> Tensor:
    """Encode one text alone, so that the golden vectors hold no padding."""
    tokens = tokenizer(text, truncation=True, return_tensors="pt")
    return text_graph(tokens["input_ids"], tokens["attention_mask"])[0]


def _written_manifest(path: Path, checkpoint: Path) -> Manifest:
    """Pooling is CLIP's own and inside the graph; the manifest's words for it are those that the schema has."""
    config = checkpoint / "config.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"""\
name = "{CLIP}"
description = "CLIP ViT-B/32 with random weights, for benchmarks"
family = "random_clip"
licence = "Apache-2.0"
dimension = 512

[image]
size_pixels = {SIZE_PIXELS}
resize_shorter_edge_pixels = {SIZE_PIXELS}
interpolation = "bicubic"
mean = {list(MEAN)}
std = {list(STD)}
pooling = "average"

[text]
context_length_tokens = {CONTEXT_LENGTH_TOKENS}
pooling = "mean"

[zero_shot]
scale = 100.0
templates = ["a photo of a {{}}"]

[[files]]
role = "config"
source = "file:{checkpoint}"
path = "{config.name}"
sha256 = "{hashlib.sha256(config.read_bytes()).hexdigest()}"
""",
        encoding="utf-8",
    )
    return read_manifest(path)
