"""Sentence encoders: BERT and its kin, pooled over the tokens, unit length (Reimers and Gurevych 2019)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from transformers import AutoModel

from simila.domain.errors import InvalidManifest
from simila.domain.manifest import Manifest, Modality
from simila_models.export.checkpoint import checkpoint_folder, load_model
from simila_models.export.pooling import pooled_tokens
from simila_models.export.text_tower import text_tower
from simila_models.export.tokenizers import CheckpointTokenizer, load_tokenizer
from simila_models.export.tower import Tower

_NOT_IN_THE_TOWER = ("pooler.",)


class PooledText(nn.Module):
    """Ids and mask, int64 [batch, tokens], to `float32 [batch, d], unit length`."""

    def __init__(self, model: Any, pooling: str, pad_id: int) -> None:
        super().__init__()
        self.model = model
        self.pooling = pooling
        self.pad_id = pad_id

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        if self.pad_id:  # the server pads with zeros
            input_ids = torch.where(attention_mask.bool(), input_ids, self.pad_id)
        states = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return normalize(pooled_tokens(states, attention_mask, self.pooling), dim=1)


@dataclass(frozen=True)
class SentenceEncoder:
    """A loaded checkpoint, with the vectors that its own libraries give."""

    model: Any
    tokenizer: CheckpointTokenizer
    pooling: str

    @property
    def graph(self) -> PooledText:
        return PooledText(self.model, self.pooling, self.tokenizer.library.pad_token_id or 0)

    def vector(self, text: str) -> Tensor:
        """Encode one text alone by sentence-transformers' recipe: `float32 [d], unit length`."""
        tokens = self.tokenizer.library(text, truncation=True, return_tensors="pt")
        states = self.model(tokens["input_ids"], tokens["attention_mask"]).last_hidden_state[0]
        pooled = {"mean": states.mean(0), "cls": states[0], "last": states[-1]}[self.pooling]
        return normalize(pooled, dim=0)


def towers(manifest: Manifest, files: Mapping[str, Path]) -> dict[Modality, Callable[[], Tower]]:
    """Give the text tower. Roles: text_weights, text_config, tokenizer, or the paths of a checkpoint's files."""
    encoder = load_sentence_encoder(manifest, files)
    assert manifest.text
    make = partial(text_tower, manifest.text, encoder.graph, encoder.vector, encoder.tokenizer)
    return {Modality.TEXT: make}


def load_sentence_encoder(manifest: Manifest, files: Mapping[str, Path]) -> SentenceEncoder:
    """Load a model and its tokenizer.

    Raises:
        InvalidManifest: there is no [text] tower, a file is not named, or the weights do not fit the configuration.

    """
    if manifest.text is None or manifest.text.pooling == "model":
        message = "needs a [text] tower with pooling = mean, cls or last"
        raise InvalidManifest(f"manifest {manifest.name}: family {manifest.family} {message}")
    with checkpoint_folder(files) as folder:
        model = load_model(AutoModel, folder, optional=_NOT_IN_THE_TOWER)
        tokenizer = load_tokenizer(folder, manifest.text.context_length_tokens)
    return SentenceEncoder(model, tokenizer, manifest.text.pooling)
