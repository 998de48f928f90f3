"""Sentence encoders: BERT, mean over the tokens, unit length (Reimers and Gurevych 2019)."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import normalize
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from simila.domain.errors import InvalidManifest
from simila.domain.manifest import Manifest, Modality
from simila_models.export.text_tower import reference_tokenizer, text_tower
from simila_models.export.tower import Tower

_NOT_IN_THE_TOWER = ("pooler.", "embeddings.position_ids")


class MeanPooledBert(nn.Module):
    """Ids and mask, int64 [batch, tokens], to `float32 [batch, d], unit length`."""

    def __init__(self, bert: BertModel) -> None:
        super().__init__()
        self.bert = bert

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        states = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        return normalize((states * mask).sum(1) / mask.sum(1), dim=1)


@dataclass(frozen=True)
class SentenceEncoder:
    """A loaded checkpoint, with the vectors that its own libraries give."""

    bert: BertModel
    tokenizer: PreTrainedTokenizerFast

    def vector(self, text: str) -> Tensor:
        """Encode one text alone by sentence-transformers' recipe: `float32 [d], unit length`."""
        tokens = self.tokenizer(text, truncation=True, return_tensors="pt")
        states = self.bert(tokens["input_ids"], tokens["attention_mask"]).last_hidden_state
        return normalize(states[0].mean(0), dim=0)


def towers(manifest: Manifest, files: Mapping[str, Path]) -> dict[Modality, Callable[[], Tower]]:
    """Give the text tower. Roles: text_weights, text_config, tokenizer."""
    encoder = load_sentence_encoder(manifest, files)
    assert manifest.text
    make = partial(text_tower, manifest.text, MeanPooledBert(encoder.bert), encoder.vector, files["tokenizer"])
    return {Modality.TEXT: make}


def load_sentence_encoder(manifest: Manifest, files: Mapping[str, Path]) -> SentenceEncoder:
    """Load BERT and its tokenizer.

    Raises:
        InvalidManifest: there is no [text] tower, a file is not named, or the weights do not fit the configuration.

    """
    if manifest.text is None:
        raise InvalidManifest(f"manifest {manifest.name}: family {manifest.family} needs a [text] tower")
    weights_file, config_file, tokenizer_file = (
        files[manifest.file(role).role] for role in ("text_weights", "text_config", "tokenizer")
    )
    config = BertConfig.from_dict(json.loads(config_file.read_text(encoding="utf-8")))
    bert = BertModel(config, add_pooling_layer=False)
    bert.set_attn_implementation("eager")  # its graph has fewer nodes than that of "sdpa", and runs faster
    weights = {
        name: tensor for name, tensor in load_file(weights_file).items() if not name.startswith(_NOT_IN_THE_TOWER)
    }
    try:
        bert.load_state_dict(weights)
    except RuntimeError as error:
        raise InvalidManifest(
            f"manifest {manifest.name}: {weights_file.name} is not for {config_file}: {error}"
        ) from error
    bert.eval()  # type: ignore[no-untyped-call]
    return SentenceEncoder(bert, reference_tokenizer(manifest.text, tokenizer_file))
