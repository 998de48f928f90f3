"""From a checkpoint's own configuration to the tables of a manifest."""

import json
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from simila.domain.errors import InvalidManifest, ModelError
from simila_models.additions import Addition
from simila_models.export.checkpoint import refuse_own_code
from simila_models.export.descriptions.joint import joint_tables
from simila_models.export.descriptions.sentences import sentence_tables
from simila_models.export.descriptions.vision import vision_tables

_JOINT = ("clip", "siglip", "siglip2")
_TEXT_ONLY = "vocab_size"


def describe(folder: Path, addition: Addition) -> dict[str, Any]:
    """Family, dimension, towers and prompts of the checkpoint in `folder`; files and names are the caller's.

    Raises:
        InvalidManifest: it is of no kind that is known, wants code of its own, or a manifest cannot say what it does.

    """
    refuse_own_code(folder)
    if (folder / "open_clip_config.json").exists():
        return _by("open_clip").open_clip_tables(folder)  # type: ignore[no-any-return]
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidManifest(f"the checkpoint's config.json cannot be read: {error}") from error
    if "architecture" in config:
        return _by("timm").timm_tables(folder, addition)  # type: ignore[no-any-return]
    kind = config.get("model_type")
    if kind in _JOINT:
        return joint_tables(folder, "clip" if kind == "clip" else "siglip")
    if (folder / "modules.json").exists() or _TEXT_ONLY in config:
        return sentence_tables(folder, config, addition)
    return vision_tables(folder, config, addition)


def _by(library: str) -> ModuleType:
    # Only these checkpoints need these libraries, which need torchvision.
    try:
        return import_module(f"{__name__}.{library}")
    except ModuleNotFoundError as error:
        message = (
            f"the checkpoint needs {error.name}, which is not installed: pip install 'simila[cpu,export,{library}]'"
        )
        raise ModelError(message) from error
