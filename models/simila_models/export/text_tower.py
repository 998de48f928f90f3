"""What text towers have in common: token ids and mask in, golden texts, a tokenizer file without limits of its own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.functional import normalize
from transformers import PreTrainedTokenizerFast

from simila.domain.golden import GoldenSet
from simila.domain.manifest import TextTower
from simila_models.export.golden_texts import GOLDEN_TEXTS
from simila_models.export.tower import Tower


def reference_tokenizer(tower: TextTower, tokenizer_file: Path) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_file=str(tokenizer_file),
        model_max_length=tower.context_length_tokens,
        pad_token="[PAD]",  # noqa: S106
    )


def text_tower(tower: TextTower, graph: nn.Module, reference: Callable[[str], Tensor], tokenizer_file: Path) -> Tower:
    """Make the tower of a module that turns ids and mask into unit vectors.

    `reference` turns one text into its vector `float32 [d]` by the checkpoint's own library.
    """
    rows = reference_tokenizer(tower, tokenizer_file)(
        list(GOLDEN_TEXTS), padding=True, truncation=True, return_tensors="np"
    )
    with torch.no_grad():
        vectors = normalize(torch.stack([reference(text) for text in GOLDEN_TEXTS]).double(), dim=1)
    return Tower(
        graph=graph,
        dynamic_axes=("batch", "tokens"),
        rows={tower.ids_name: rows["input_ids"], tower.mask_name: rows["attention_mask"]},
        golden=GoldenSet(GOLDEN_TEXTS, GOLDEN_TEXTS, vectors.numpy().astype(np.float32)),
        output_name=tower.output_name,
        tokenizer_json=_without_limits(tokenizer_file),
    )


def _without_limits(tokenizer_file: Path) -> str:
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer.to_str()
