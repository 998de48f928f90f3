"""Encoders of a few hundred bytes, exported as real ones are: a text's vector is the direction of its words' sum."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from simila.domain.golden import write_golden_texts
from simila.domain.manifest import Manifest, Modality, read_manifest
from simila.domain.model_repository import ExportRecord, ModelRepository
from simila.domain.vectors import Float32, unit_rows

WORDS = ("red", "green", "blue", "house", "tree", "car", "unknown")
DIMENSION = 8
GOLDEN_TEXTS = ("red house", "green tree", "blue car", "red red tree")

MANIFEST = """\
name = "{name}"
description = "Words as random directions"
family = "none"
licence = "MIT"
dimension = {dimension}

[text]
context_length_tokens = 64
pooling = "mean"

[[files]]
role = "weights"
source = "file:."
path = "table.npy"
sha256 = "{sha256}"
"""


@dataclass(frozen=True)
class TinyEncoder:
    """One version of an encoder in a data folder; `table` is `float32 [words, d]`, made of `seed`."""

    name: str
    seed: int

    @property
    def table(self) -> NDArray[np.float32]:
        return np.random.default_rng(self.seed).normal(size=(len(WORDS), DIMENSION)).astype(np.float32)

    def vector(self, text: str) -> Float32:
        """By numpy: `float32 [d], unit length`."""
        ids = [WORDS.index(word) if word in WORDS else len(WORDS) - 1 for word in text.split()]
        return unit_rows(self.table[ids].sum(axis=0, keepdims=True))[0]

    def export(self, data_dir: Path, *, golden_seed: int | None = None) -> Manifest:
        """Write manifest and export in the place of those that are there.

        A `golden_seed` other than the encoder's gives it a certificate that does not hold.
        """
        manifest = self._write_manifest(data_dir / "manifests")
        files = ModelRepository(data_dir / "models").tower(self.name, Modality.TEXT)
        files.onnx.parent.mkdir(parents=True, exist_ok=True)
        replacement = files.onnx.with_suffix(".new")  # a session may have the old file mapped
        replacement.write_bytes(_graph(self.table))
        replacement.rename(files.onnx)
        tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token=WORDS[-1]))
        tokenizer.pre_tokenizer = Whitespace()
        tokenizer.save(str(files.tokenizer))
        for path in files.golden.glob("*"):
            path.unlink()
        if files.golden.exists():
            files.golden.rmdir()
        golden = TinyEncoder(self.name, self.seed if golden_seed is None else golden_seed)
        write_golden_texts(files.golden, GOLDEN_TEXTS, np.stack([golden.vector(text) for text in GOLDEN_TEXTS]))
        record = ExportRecord(
            fingerprint=manifest.fingerprint,
            precision="fp32",
            onnx_sha256=hashlib.sha256(files.onnx.read_bytes()).hexdigest(),
            versions={},
        )
        files.record.write_text(record.model_dump_json(), encoding="utf-8")
        return manifest

    def _write_manifest(self, folder: Path) -> Manifest:
        folder.mkdir(parents=True, exist_ok=True)
        sha256 = hashlib.sha256(self.table.tobytes()).hexdigest()
        path = folder / f"{self.name}.toml"
        path.write_text(MANIFEST.format(name=self.name, dimension=DIMENSION, sha256=sha256), encoding="utf-8")
        return read_manifest(path)


def _graph(table: NDArray[np.float32]) -> bytes:
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "l"]) for name in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", DIMENSION])
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["words"]),
        helper.make_node("Cast", ["attention_mask"], ["weights"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["weights", "last"], ["columns"]),
        helper.make_node("Mul", ["words", "columns"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "middle"], ["sums"], keepdims=0),
        helper.make_node("LpNormalization", ["sums"], ["embedding"], axis=1, p=2),
    ]
    constants = [
        numpy_helper.from_array(table, "table"),
        numpy_helper.from_array(np.array([2], dtype=np.int64), "last"),
        numpy_helper.from_array(np.array([1], dtype=np.int64), "middle"),
    ]
    graph = helper.make_graph(nodes, "tiny", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())
