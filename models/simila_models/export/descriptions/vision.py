"""Image encoders of transformers: what a vector is taken from, and how long it is."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel

from simila_models.additions import Addition
from simila_models.export.descriptions.images import image_table
from simila_models.export.layers import LayerFeatures
from simila_models.export.reference_preprocessing import checkpoint_processor

_BY_FIRST_TOKEN = ("vit", "vit_mae", "deit", "dinov2", "dinov2_with_registers", "beit")


def vision_tables(folder: Path, config: dict[str, Any], addition: Addition) -> dict[str, Any]:
    """Read the image tower: the first token of a transformer, what a ConvNet pools, or the layer that is wanted."""
    by_default = "cls" if config.get("model_type") in _BY_FIRST_TOKEN else "model"
    pooling = "average" if addition.layer else addition.pooling or by_default
    image = {**image_table(checkpoint_processor(folder)), "pooling": pooling}
    tables: dict[str, Any] = {"family": "vision", "image": image}
    if addition.layer:
        tables["architecture"] = {"layer": addition.layer}
        tables["dimension"] = _channels(folder, addition.layer, image["size_pixels"])
    else:
        tables["dimension"] = config.get("hidden_size") or config["hidden_sizes"][-1]
    return tables


def _channels(folder: Path, layer: str, size_pixels: int) -> int:
    config = AutoConfig.from_pretrained(folder)
    with torch.device("meta"):  # shapes without weights
        features = LayerFeatures(AutoModel.from_config(config), layer)  # type: ignore[no-untyped-call]
        return int(features(torch.empty(1, config.num_channels, size_pixels, size_pixels)).shape[1])
