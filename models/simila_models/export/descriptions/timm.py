"""Image encoders of timm: the data configuration that lies beside the weights."""

from math import floor
from pathlib import Path
from typing import Any

import torch
from timm.data import resolve_model_data_config

from simila.domain.errors import InvalidManifest
from simila_models.additions import Addition
from simila_models.export.families.timm import load_network
from simila_models.export.layers import LayerFeatures


def timm_tables(folder: Path, addition: Addition) -> dict[str, Any]:
    """Read the image tower and its transform.

    Raises:
        InvalidManifest: its images are no squares of one size, or it keeps a border.

    """
    network = load_network(folder)
    data = resolve_model_data_config(network)
    channels, height, width = data["input_size"]
    tables: dict[str, Any] = {
        "family": "timm",
        "dimension": network.num_features,
        "image": {
            **_geometry(height, width, data["crop_pct"], data["crop_mode"]),
            "interpolation": data["interpolation"],
            "transparency": "ignored",
            "channels": channels,
            "mean": list(data["mean"]),
            "std": list(data["std"]),
            "pooling": "average" if addition.layer else "model",
        },
    }
    if addition.layer:
        tables["architecture"] = {"layer": addition.layer}
        with torch.no_grad():
            maps = LayerFeatures(network, addition.layer)(torch.zeros(1, channels, height, width))
        tables["dimension"] = maps.shape[1]
    return tables


def _geometry(height: int, width: int, crop_share: float, crop_mode: str) -> dict[str, Any]:
    if height == width and crop_mode == "squash" and crop_share == 1:
        return {"size_pixels": height, "resize": "squash"}
    if height == width and crop_mode == "center":
        shorter_edge = floor(height / crop_share)
        return {"size_pixels": height, "resize_shorter_edge_pixels": shorter_edge, "crop_offset": "nearest_even"}
    message = f"crop mode {crop_mode}, share {crop_share}, {width} x {height} pixels"
    raise InvalidManifest(f"timm prepares images for this checkpoint as a manifest cannot say: {message}")
