"""OpenCLIP: both towers from `open_clip_config.json` and the loaded model."""

from pathlib import Path
from typing import Any

from simila.domain.errors import InvalidManifest
from simila_models.export.families.open_clip import load_checkpoint


def open_clip_tables(folder: Path) -> dict[str, Any]:
    """Read both towers, scale and bias.

    Raises:
        InvalidManifest: OpenCLIP cannot read the checkpoint, or it pads images.

    """
    model, _, _ = load_checkpoint(folder)
    images = model.visual.preprocess_cfg
    bias = getattr(model, "logit_bias", None)
    prompts = {"scale": float(model.logit_scale.exp()), "templates": ["a photo of a {}."]}
    if bias is not None:
        prompts |= {"bias": float(bias), "activation": "sigmoid"}
    return {
        "family": "open_clip",
        "dimension": int(model.visual.output_dim),
        "image": {
            **_geometry(images["size"], images["resize_mode"]),
            "interpolation": images["interpolation"],
            "transparency": "ignored",
            "mean": list(images["mean"]),
            "std": list(images["std"]),
            "pooling": "model",
        },
        "text": {"context_length_tokens": int(model.context_length), "pooling": "model"},
        "zero_shot": prompts,
    }


def _geometry(size: int | tuple[int, int], mode: str) -> dict[str, Any]:
    height, width = (size, size) if isinstance(size, int) else size
    if height == width and mode == "squash":
        return {"size_pixels": height, "resize": "squash"}
    if height == width and mode == "shortest":
        return {"size_pixels": height, "resize_shorter_edge_pixels": height, "crop_offset": "nearest_even"}
    raise InvalidManifest(f"OpenCLIP prepares images as a manifest cannot say: {mode}, {width} x {height} pixels")
