"""Images of many bands that serving is likely to get wrong, and how the reference prepares them."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from simila.domain.errors import InvalidManifest
from simila.domain.manifest import ImageTower
from simila_models.export.reference_preprocessing import ReferencePixels

_SIZES = {"landscape.npy": (97, 211), "tall.npy": (301, 64), "large.npy": (700, 900), "one-pixel.npy": (1, 1)}


def pixels_of_bands(tower: ImageTower) -> ReferencePixels:
    """Golden arrays by torch's antialiased interpolation, whose coefficients are Pillow's.

    Raises:
        InvalidManifest: torch has no such interpolation.

    """
    if tower.interpolation == "lanczos":
        raise InvalidManifest("bands are scaled by bicubic or bilinear interpolation, not by lanczos")
    arrays = golden_arrays(tower)
    rows = np.stack([_reference_row(array, tower) for array in arrays.values()])
    mean, std = (np.array(values, np.float32).reshape(1, -1, 1, 1) for values in (tower.mean, tower.std))
    normalised = ((rows / (2**tower.bits - 1) - mean) / std).astype(np.float32)
    return ReferencePixels({name: _saved(array) for name, array in arrays.items()}, rows, normalised)


def golden_arrays(tower: ImageTower) -> Mapping[str, NDArray[Any]]:
    """Draw arrays `[height, width, channels]` over all of the range: waves that differ from band to band."""
    return {name: _waves(*size, tower) for name, size in _SIZES.items()}


def _waves(height: int, width: int, tower: ImageTower) -> NDArray[Any]:
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)[:, :, :, None]
    band = np.arange(tower.channels)
    waves = np.sin(x / (5 + band)) + np.cos(y / (9 + 2 * band)) + np.sin((x + y) / 41 + band)
    drawn: NDArray[Any] = np.rint((waves + 3) / 6 * (2**tower.bits - 1)).astype(tower.row_dtype)
    return drawn


def _reference_row(array: NDArray[Any], tower: ImageTower) -> NDArray[Any]:
    height, width = array.shape[:2]
    size, shorter = tower.size_pixels, tower.resize_shorter_edge_pixels
    edge = min(height, width)
    scaled = (int(shorter * height / edge), int(shorter * width / edge)) if shorter else (size, size)
    bands = torch.from_numpy(array.astype(np.float32)).permute(2, 0, 1)[None]
    whole = interpolate(bands, scaled, mode=tower.interpolation, antialias=True)[0].numpy()
    top, left = ((edge - size) // 2 for edge in scaled)
    cut = whole[:, top : top + size, left : left + size]
    row: NDArray[Any] = np.clip(np.rint(cut), 0, 2**tower.bits - 1).astype(tower.row_dtype)
    return row


def _saved(array: NDArray[Any]) -> bytes:
    buffer = BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()
