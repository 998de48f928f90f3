"""What image towers have in common: uint8 pixels in, mean and std in the graph, golden images."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from simila.domain.golden import GoldenSet
from simila.domain.manifest import ImageTower
from simila_models.export.golden_images import golden_images
from simila_models.export.reference_preprocessing import normalised_pixels, uint8_pixels
from simila_models.export.tower import Tower


class PixelGraph(nn.Module):
    """`pixels`, uint8 RGB [batch, 3, height, width], to `float32 [batch, d], unit length`."""

    mean: Tensor  # [1, 3, 1, 1], in units of a byte
    std: Tensor  # [1, 3, 1, 1], in units of a byte

    def __init__(self, tower: ImageTower, features: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.register_buffer("mean", 255 * torch.tensor(tower.mean).reshape(1, 3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(tower.std).reshape(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        return normalize(self.features((pixels.float() - self.mean) / self.std), dim=1)


def image_tower(tower: ImageTower, features: nn.Module, reference: Callable[[Tensor], Tensor]) -> Tower:
    """Make the tower of a module that turns normalised pixels into vectors of any length.

    `reference` turns normalised pixels `float32 [n, 3, height, width]` into vectors by the checkpoint's own library.
    """
    images = golden_images()
    pixels = torch.from_numpy(normalised_pixels(images.values(), tower))
    with torch.no_grad():
        vectors = normalize(torch.cat([reference(row[None]) for row in pixels]).double(), dim=1)
    return Tower(
        graph=PixelGraph(tower, features),
        dynamic_axes=("batch",),
        rows={tower.input_name: uint8_pixels(images.values(), tower)},
        golden=GoldenSet(tuple(images), tuple(images.values()), vectors.numpy().astype(np.float32)),
        output_name=tower.output_name,
    )
