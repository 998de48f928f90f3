"""Infinity (https://github.com/michaelfeil/infinity) on the same checkpoints: environment, folders, command.

It lives in an environment of its own, because its dependencies are older than ours. Nothing is fetched but packages.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from simila.domain.manifest import Manifest
from simila_models.export.families.sentence import load_sentence_encoder
from simila_models.export.graph import export_graph

REQUIREMENTS = ("infinity-emb[server,optimum,torch]==0.0.78", "aiohttp", "pillow")
TORCH = "torch==2.13.0"  # first and again: else the newest one comes, with a GPU's libraries


class LastHiddenState(nn.Module):
    """What optimum expects of a graph for feature extraction: states `float32 [batch, tokens, d]`, not pooled."""

    def __init__(self, bert: nn.Module) -> None:
        super().__init__()
        self.bert = bert

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def installed(folder: Path) -> Path:
    """Install Infinity unless it is there, and return its program.

    Raises:
        CalledProcessError: pip cannot install it; it has said why.

    """
    program = folder / "bin" / "infinity_emb"
    if not program.is_file():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        for requirements in ((TORCH,), (TORCH, *REQUIREMENTS)):
            subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", *requirements], check=True)
    return program


def sentence_folder(manifest: Manifest, files: Mapping[str, Path], folder: Path) -> Path:
    """Gather a sentence encoder's checkpoint, its graph at the top, where optimum looks; nothing if it is there."""
    onnx = folder / "model.onnx"
    if not onnx.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        onnx.parent.mkdir(parents=True)
        for path in files.values():
            shutil.copy(path, folder / path.name)
        assert manifest.text
        limits = {"tokenizer_class": "BertTokenizerFast", "model_max_length": manifest.text.context_length_tokens}
        (folder / "tokenizer_config.json").write_text(json.dumps(limits), encoding="utf-8")
        ids = torch.ones((2, 8), dtype=torch.int64).numpy()
        graph = LastHiddenState(load_sentence_encoder(manifest, files).bert)
        partial = onnx.with_suffix(".partial")
        rows = {"input_ids": ids, "attention_mask": ids}
        export_graph(graph, rows, ("batch", "tokens"), "last_hidden_state", partial)
        partial.rename(onnx)
    return folder


def command(program: Path, served_name: str, *, engine: str, port: int) -> list[str]:
    """Serve the folder that it is started in: in another, optimum does not find the ONNX file.

    Mean pooling is said because the ONNX engine's own choice gives other vectors.
    """
    options = {
        "--model-id": ".",
        "--served-model-name": served_name,
        "--engine": engine,
        "--device": "cpu",
        "--pooling-method": "mean",
        "--host": "127.0.0.1",
        "--port": port,
    }
    return [str(program), "v2", *(str(word) for option in options.items() for word in option)]


def environment(cache: Path) -> dict[str, str]:
    """Neither the hub nor anybody else is called; graphs that Infinity optimises for itself stay in `cache`."""
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "DO_NOT_TRACK": "1"}
    return {**os.environ, **offline, "HF_HOME": str(cache), "INFINITY_ANONYMOUS_USAGE_STATS": "0"}
