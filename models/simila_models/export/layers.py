"""What an inner layer of a network says, averaged over its places."""

from typing import Any

from torch import Tensor, nn

from simila.domain.errors import InvalidManifest


class LayerFeatures(nn.Module):
    """Normalised pixels to the averaged feature map of the layer called `layer`: `float32 [batch, d]`.

    Raises:
        InvalidManifest: the network has no layer of this name.

    """

    def __init__(self, network: nn.Module, layer: str) -> None:
        super().__init__()
        self.network = network
        self.layer = layer
        try:
            network.get_submodule(layer)
        except AttributeError as error:
            known = ", ".join(name for name, _ in network.named_modules() if 0 < name.count(".") < 2)
            raise InvalidManifest(f"the network has no layer called '{layer}'; among others it has {known}") from error

    def forward(self, pixels: Tensor) -> Tensor:
        maps: list[Tensor] = []

        def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            maps.append(output)

        hook = self.network.get_submodule(self.layer).register_forward_hook(keep)
        self.network(pixels)  # what lies behind the layer is not in the exported graph, because nothing reads it
        hook.remove()
        [features] = maps
        return features.mean((2, 3))
