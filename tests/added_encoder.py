"""An encoder that was added, run by the server's own preprocessing and the exported graphs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from torch.nn.functional import normalize

from simila.domain.manifest import Manifest, Modality
from simila.domain.model_repository import ModelRepository
from simila.domain.vectors import Float32
from simila.preprocessing.images import image_row
from simila.preprocessing.texts import TextRow, TextTokenizer


@dataclass(frozen=True)
class Added:
    """An encoder that was added."""

    manifest: Manifest
    repository: ModelRepository

    def image_vectors(self, images: Sequence[bytes]) -> Float32:
        tower = self.manifest.image
        assert tower
        rows = np.stack([image_row(image, tower, max_pixels=50_000_000) for image in images])
        return self._run(Modality.IMAGE, {"pixels": rows})

    def text_vectors(self, texts: Sequence[str]) -> Float32:
        """All texts in one padded batch."""
        tower = self.manifest.text
        assert tower
        files = self.repository.exported_tower(self.manifest, Modality.TEXT)
        rows = TextTokenizer(files.tokenizer, tower.context_length_tokens).rows_of_texts(texts)
        given = [row.ids for row in rows if isinstance(row, TextRow)]
        ids = np.array([row + (0,) * (max(map(len, given)) - len(row)) for row in given], dtype=np.int64)
        mask = (np.arange(ids.shape[1]) < np.array([len(row) for row in given])[:, None]).astype(np.int64)
        return self._run(Modality.TEXT, {"input_ids": ids, "attention_mask": mask})

    def _run(self, modality: Modality, rows: dict[str, Any]) -> Float32:
        onnx = self.repository.exported_tower(self.manifest, modality).onnx
        session = ort.InferenceSession(onnx, providers=["CPUExecutionProvider"])
        return np.asarray(session.run(["embedding"], rows)[0])


def lowest_cosine(vectors: Float32, reference: torch.Tensor) -> float:
    """Of served vectors to reference vectors of any length."""
    unit = normalize(reference.double(), dim=1).numpy()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    return float(np.einsum("nd,nd->n", vectors.astype(np.float64), unit).min())
