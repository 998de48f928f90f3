"""What image towers have in common: uint8 pixels in, mean and std in the graph, golden images."""

from collections.abc import Callable

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from simila.domain.golden import GoldenSet
from simila.domain.manifest import ImageTower
from simila_models.export.reference_preprocessing import ReferencePixels
from simila_models.export.tower import Tower


class PixelGraph(nn.Module):
    """`pixels`, integers [batch, channels, height, width], to `float32 [batch, d], unit length`."""

    mean: Tensor  # [1, channels, 1, 1], in units of a pixel's values
    std: Tensor  # [1, channels, 1, 1], in units of a pixel's values

    def __init__(self, tower: ImageTower, features: nn.Module) -> None:
        super().__init__()
        self.features = features
        largest = 2**tower.bits - 1
        self.register_buffer("mean", largest * torch.tensor(tower.mean).reshape(1, -1, 1, 1))
        self.register_buffer("std", largest * torch.tensor(tower.std).reshape(1, -1, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        return normalize(self.features((pixels.float() - self.mean) / self.std), dim=1)


def image_tower(
    tower: ImageTower,
    features: nn.Module | onnx.ModelProto,
    reference: Callable[[Tensor], Tensor],
    prepare: Callable[[], ReferencePixels],
) -> Tower:
    """Make the tower of a module that turns normalised pixels into vectors of any length, or of a graph that is whole.

    `reference` turns normalised pixels `float32 [n, channels, height, width]` into vectors by the checkpoint's own
    library; `prepare` makes golden images into pixels by it.
    """
    pixels = prepare()
    with torch.no_grad():
        rows = [reference(row[None]) for row in torch.from_numpy(pixels.normalised)]
    vectors = normalize(torch.cat(rows).double(), dim=1)
    return Tower(
        graph=features if isinstance(features, onnx.ModelProto) else PixelGraph(tower, features),
        dynamic_axes=("batch",),
        rows={tower.input_name: pixels.rows},
        golden=GoldenSet(tuple(pixels.images), tuple(pixels.images.values()), vectors.numpy().astype(np.float32)),
        output_name=tower.output_name,
    )
