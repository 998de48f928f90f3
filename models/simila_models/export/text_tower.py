"""What text towers have in common: token ids and mask in, golden texts, a tokenizer file without limits of its own."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from simila.domain.golden import GoldenSet
from simila.domain.manifest import TextTower
from simila_models.export.golden_texts import GOLDEN_TEXTS
from simila_models.export.tokenizers import CheckpointTokenizer
from simila_models.export.tower import Tower


def text_tower(
    tower: TextTower,
    graph: nn.Module | onnx.ModelProto,
    reference: Callable[[str], Tensor],
    tokenizer: CheckpointTokenizer,
) -> Tower:
    """Make the tower of a module that turns ids and mask into unit vectors.

    `reference` turns one text into its vector `float32 [d]` by the checkpoint's own library.
    """
    ids, mask = _padded([tokenizer.library(text, truncation=True)["input_ids"] for text in GOLDEN_TEXTS])
    with torch.no_grad():
        vectors = normalize(torch.stack([reference(text) for text in GOLDEN_TEXTS]).double(), dim=1)
    return Tower(
        graph=graph,
        dynamic_axes=("batch", "tokens"),
        rows={tower.ids_name: ids, tower.mask_name: mask},
        golden=GoldenSet(GOLDEN_TEXTS, GOLDEN_TEXTS, vectors.numpy().astype(np.float32)),
        output_name=tower.output_name,
        tokenizer_json=tokenizer.json,
    )


def _padded(rows: Sequence[Sequence[int]]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Ids and mask as the server sends them: zeros on the right."""
    ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, padded_ids, padded_mask in zip(rows, ids, mask, strict=True):
        padded_ids[: len(row)] = row
        padded_mask[: len(row)] = 1
    return ids, mask
