"""From a token or a place of the feature map each to one vector a row."""

import torch
from torch import Tensor


def pooled_tokens(states: Tensor, mask: Tensor, pooling: str) -> Tensor:
    """Pool `[batch, tokens, d]` under a mask `int64 [batch, tokens]` whose ones come first: `[batch, d]`."""
    if pooling == "cls":
        return states[:, 0]
    if pooling == "last":
        last = (mask.sum(1) - 1).reshape(-1, 1, 1).expand(-1, 1, states.shape[2])
        return states.gather(1, last)[:, 0]
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1)


def pooled_places(features: Tensor, pooling: str, *, first_patch: int) -> Tensor:
    """Pool `[batch, d, height, width]`, or `[batch, tokens, d]` with patches from `first_patch` on: `[batch, d]`."""
    if features.ndim == 4:
        return features.mean((2, 3))
    return features[:, 0] if pooling == "cls" else features[:, first_patch:].mean(1)


def flat(vectors: Tensor) -> Tensor:
    """`[batch, d, 1, 1]`, as ConvNets pool, to `[batch, d]`."""
    return torch.flatten(vectors, 1)
