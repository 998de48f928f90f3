"""Sentence encoders: the modules of sentence-transformers, or a bare model with the pooling that the user names."""

import json
from pathlib import Path
from typing import Any

from simila.domain.errors import InvalidManifest
from simila_models.additions import Addition
from simila_models.export.tokenizers import load_tokenizer

_POOLINGS = {"mean_tokens": "mean", "mean": "mean", "cls_token": "cls", "cls": "cls", "lasttoken": "last"}
_PASSAGE_PROMPTS = ("passage", "document")
_POSITIONS_AFTER_PADDING = ("roberta", "xlm-roberta", "mpnet", "camembert")
"""Their positions begin behind the padding's id."""


def sentence_tables(folder: Path, config: dict[str, Any], addition: Addition) -> dict[str, Any]:
    """Read pooling, context length, prefixes and Matryoshka dimensions.

    Raises:
        InvalidManifest: it pools otherwise than by mean, first or last token, or has layers behind the pooling.

    """
    prompts = _json(folder, "config_sentence_transformers.json").get("prompts") or {}
    text = {
        "context_length_tokens": _context_length_tokens(folder, config),
        "pooling": addition.pooling or _pooling(folder),
        "query_prefix": prompts.get("query", ""),
        "passage_prefix": next((prompts[name] for name in _PASSAGE_PROMPTS if name in prompts), ""),
        "matryoshka_dimensions": config.get("matryoshka_dimensions", []),
    }
    return {
        "family": "sentence",
        "dimension": config.get("hidden_size") or config["dim"],
        "text": {key: value for key, value in text.items() if value},
        "zero_shot": {"scale": 20.0, "templates": ["{}"]},
    }


def _pooling(folder: Path) -> str:
    modules = json.loads((folder / "modules.json").read_text("utf-8")) if (folder / "modules.json").exists() else []
    kinds = {module["type"].rpartition(".")[2]: module["path"] for module in modules}
    if not kinds:
        raise InvalidManifest("the checkpoint does not say how tokens are pooled; say --pooling mean, cls or last")
    if unknown := set(kinds) - {"Transformer", "Pooling", "Normalize"}:
        raise InvalidManifest(f"the checkpoint has modules that are not exported: {', '.join(sorted(unknown))}")
    pooling = _json(folder, f"{kinds['Pooling']}/config.json")
    flag = "pooling_mode_"
    asked = [key.removeprefix(flag) for key, value in pooling.items() if key.startswith(flag) and value]
    [mode, *others] = asked or [str(pooling.get("pooling_mode"))]  # the one field of sentence-transformers 6
    if others or mode not in _POOLINGS:
        raise InvalidManifest(f"tokens are pooled by {', '.join([mode, *others])}, which is not exported")
    return _POOLINGS[mode]


def _context_length_tokens(folder: Path, config: dict[str, Any]) -> int:
    positions = config.get("max_position_embeddings", 512)
    if config.get("model_type") in _POSITIONS_AFTER_PADDING:
        positions -= config.get("pad_token_id", 1) + 1
    declared = _json(folder, "sentence_bert_config.json").get("max_seq_length")
    tokenizers_own = load_tokenizer(folder, None).library.model_max_length
    return int(min(declared or tokenizers_own, positions))


def _json(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return table
