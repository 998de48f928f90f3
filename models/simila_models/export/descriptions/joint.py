"""CLIP, SigLIP and SigLIP 2: two towers, and how cosines become probabilities."""

from math import exp
from pathlib import Path
from typing import Any

from safetensors import safe_open
from transformers import AutoConfig

from simila.domain.errors import InvalidManifest
from simila_models.export.descriptions.images import image_table
from simila_models.export.reference_preprocessing import checkpoint_processor

_TEMPLATES = {"clip": ["a photo of a {}."], "siglip": ["This is a photo of {}."]}


def joint_tables(folder: Path, family: str) -> dict[str, Any]:
    """Read both towers of a joint checkpoint.

    Raises:
        InvalidManifest: its images are of no fixed size, or it has no scale.

    """
    config = AutoConfig.from_pretrained(folder)
    text = config.text_config
    tables: dict[str, Any] = {
        "family": family,
        "dimension": config.projection_dim if family == "clip" else text.projection_size,
        "image": {**image_table(checkpoint_processor(folder)), "pooling": "model"},
        "text": {"context_length_tokens": text.max_position_embeddings, "pooling": "model"},
        "zero_shot": {"scale": exp(_scalar(folder, "logit_scale")), "templates": _TEMPLATES[family]},
    }
    if family == "siglip":
        tables["zero_shot"] |= {"bias": _scalar(folder, "logit_bias"), "activation": "sigmoid"}
    return tables


def _scalar(folder: Path, name: str) -> float:
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="pt") as weights:
            if name in weights.keys():  # noqa: SIM118  it is no mapping
                return float(weights.get_tensor(name))
    raise InvalidManifest(f"the checkpoint's weights have no {name}")
