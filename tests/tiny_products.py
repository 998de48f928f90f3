"""Two matrix products in the graph of a `TinyEncoder`, so that there is something to quantise."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from simila.domain.manifest import Manifest, Modality
from simila.domain.model_repository import ModelRepository
from tiny_encoders import DIMENSION

EVEN = np.ones(DIMENSION)
UNEVEN = np.array([1000.0, *[1.0] * (DIMENSION - 1)])
"""Channels of which one takes nearly all of the eight bits; the second product takes it back."""


def with_products(scales: np.ndarray, repository: ModelRepository, manifest: Manifest) -> Path:
    """Put two products into the graph that undo each other, so that its vectors stay what they were."""
    files = repository.tower(manifest.name, Modality.TEXT)
    model = onnx.load(files.onnx)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(DIMENSION, DIMENSION)))[0]
    matrices = {"there": turn * scales, "back": (turn * (1 / scales)).T}
    for name, matrix in matrices.items():
        model.graph.initializer.append(numpy_helper.from_array(matrix.astype(np.float32), name))
    last = model.graph.node[-1]
    last.input[0] = "turned_back"
    for name, source, product in (("there", "sums", "turned"), ("back", "turned", "turned_back")):
        node = onnx.helper.make_node("MatMul", [source, name], [product], name=f"product_{name}")
        model.graph.node.insert(len(model.graph.node) - 1, node)
    onnx.save(model, files.onnx)
    record = json.loads(files.record.read_text())
    record["onnx_sha256"] = hashlib.sha256(files.onnx.read_bytes()).hexdigest()
    files.record.write_text(json.dumps(record))
    return files.onnx
