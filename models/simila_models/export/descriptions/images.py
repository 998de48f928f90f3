"""What an image processor of transformers does, in the words of a manifest."""

from typing import Any

from PIL import Image

from simila.domain.errors import InvalidManifest

_INTERPOLATIONS = {
    Image.Resampling.BICUBIC: "bicubic",
    Image.Resampling.BILINEAR: "bilinear",
    Image.Resampling.LANCZOS: "lanczos",
}
_BITS = {255: 8, 65535: 16}
_SQUASHED_FROM_PIXELS = 384  # ConvNeXt's processor crops smaller images only


def image_table(processor: Any) -> dict[str, Any]:
    """Read size, crop, interpolation, mean and std from an image processor.

    Raises:
        InvalidManifest: it does what a manifest cannot say.

    """
    if processor.resample not in _INTERPOLATIONS:
        raise InvalidManifest(f"{type(processor).__name__} scales with the filter {processor.resample}")
    largest = round(1 / processor.rescale_factor)
    if largest not in _BITS:
        raise InvalidManifest(f"{type(processor).__name__} takes {largest} for the largest value, not 255 or 65535")
    normalises, channels = processor.do_normalize, len(processor.image_mean)
    return {
        **_geometry(processor),
        "bits": _BITS[largest],
        "channels": channels,
        "interpolation": _INTERPOLATIONS[processor.resample],
        "mean": list(processor.image_mean) if normalises else [0.0] * channels,
        "std": list(processor.image_std) if normalises else [1.0] * channels,
    }


def _geometry(processor: Any) -> dict[str, Any]:
    size, crop_share = processor.size, getattr(processor, "crop_pct", None)
    if crop_share and size.shortest_edge:
        edge = size.shortest_edge
        if edge >= _SQUASHED_FROM_PIXELS:
            return {"size_pixels": edge, "resize": "squash"}
        return {"size_pixels": edge, "resize_shorter_edge_pixels": int(edge / crop_share)}
    if size.shortest_edge and processor.do_center_crop:
        crop = processor.crop_size
        if crop.height == crop.width:
            return {"size_pixels": crop.height, "resize_shorter_edge_pixels": size.shortest_edge}
    elif size.height and size.height == size.width and not processor.do_center_crop:
        return {"size_pixels": size.height, "resize": "squash"}
    raise InvalidManifest(f"{type(processor).__name__} makes images that are no squares of one size: {size}")
