"""A checkpoint in the hub's own layout, read by its own library: safetensors only, no code, no network."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers.utils import logging

from simila.domain.errors import InvalidManifest

# Progress and what is missing are told by the caller.
logging.disable_progress_bar()  # type: ignore[no-untyped-call]
logging.set_verbosity_error()  # type: ignore[no-untyped-call]

# Roles of manifests that take their files from elsewhere than a checkpoint's own folder.
_NAMES_OF_ROLES = {
    "text_weights": "model.safetensors",
    "text_config": "config.json",
    "tokenizer": "tokenizer.json",
}


@contextmanager
def checkpoint_folder(files: Mapping[str, Path]) -> Iterator[Path]:
    """Lay files out as the library expects them: the role of a file is its path in the checkpoint."""
    with TemporaryDirectory(prefix="simila-checkpoint-") as folder:
        for role, path in files.items():
            link = Path(folder) / _NAMES_OF_ROLES.get(role, role)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.resolve())
        yield Path(folder)


def load_model(auto_class: Any, folder: Path, *, optional: tuple[str, ...] = (), **config: object) -> Any:
    """Load a model of transformers in float32, whatever precision it was saved in.

    Weights whose names begin with one of `optional` may be missing: the tower does not use them.

    Raises:
        InvalidManifest: transformers cannot read it, it wants code of its own, or its weights do not fit.

    """
    refuse_own_code(folder)
    try:
        model, report = auto_class.from_pretrained(
            folder,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            dtype=torch.float32,
            attn_implementation="eager",  # its graph has fewer nodes than that of "sdpa", and runs faster
            output_loading_info=True,
            **config,
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InvalidManifest(f"transformers cannot read the checkpoint: {error}") from error
    # Otherwise transformers would make them up at random.
    missing = sorted(name for name in report["missing_keys"] if not name.startswith(optional))
    if missing or report["mismatched_keys"]:
        wrong = ", ".join(map(str, [*missing, *report["mismatched_keys"]][:5]))
        raise InvalidManifest(f"the checkpoint's weights do not fit its config.json: {wrong}")
    return model.eval()


def refuse_own_code(folder: Path) -> None:
    """Nothing that a checkpoint brings is run.

    Raises:
        InvalidManifest: its configuration names code of its own.

    """
    for path in sorted(folder.glob("*config.json")):
        if "auto_map" in json.loads(path.read_text(encoding="utf-8")):
            raise InvalidManifest(
                f"the checkpoint's {path.name} asks for code of its own (auto_map), which is never run"
            )
