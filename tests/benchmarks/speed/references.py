"""The right answers, computed in this process one item at a time, and the comparison with what a server said."""

from collections.abc import Callable, Sequence

import numpy as np
import onnxruntime as ort
import orjson
from tokenizers import Tokenizer

from simila.domain.manifest import Manifest, Modality
from simila.domain.model_repository import ModelRepository
from simila.domain.vectors import Float32
from simila_models.export.reference_preprocessing import manifest_processor, uint8_pixels
from speed.loads import Item
from speed.probe import OK, Answer

FLOOR_COSINE = 0.9999
LARGEST_COSINE_ERROR = 2e-3
"""Largest difference of a cosine that a classification tells from the one computed here."""


class WrongAnswer(Exception):
    """A server was fast, but what it said is not right."""


class References:
    """An encoder's exported graphs with the reference preprocessing."""

    def __init__(self, manifest: Manifest, repository: ModelRepository) -> None:
        self._manifest = manifest
        files = {modality: repository.exported_tower(manifest, modality) for modality in manifest.modalities}
        self._sessions = {modality: ort.InferenceSession(towers.onnx) for modality, towers in files.items()}
        if Modality.TEXT in files:
            assert manifest.text
            self._tokenizer = Tokenizer.from_file(str(files[Modality.TEXT].tokenizer))
            self._tokenizer.enable_truncation(manifest.text.context_length_tokens)

    def vectors(self, items: Sequence[Item]) -> Float32:
        """Embed one by one: `float32 [n, d], unit length`."""
        return np.concatenate([self._text(item) if isinstance(item, str) else self._image(item) for item in items])

    def _text(self, text: str) -> Float32:
        assert self._manifest.text
        ids = np.array([self._tokenizer.encode(text).ids])
        rows = {self._manifest.text.ids_name: ids, self._manifest.text.mask_name: np.ones_like(ids)}
        vectors: Float32 = self._sessions[Modality.TEXT].run(None, rows)[0]
        return vectors

    def _image(self, image: bytes) -> Float32:
        assert self._manifest.image
        rows = {self._manifest.image.input_name: uint8_pixels([image], manifest_processor(self._manifest.image))}
        vectors: Float32 = self._sessions[Modality.IMAGE].run(None, rows)[0]
        return vectors


Check = Callable[[Answer], float]
"""The lowest cosine of an answer's vectors to the right ones; `WrongAnswer` where it is below the floor."""


def embeddings_check(right: dict[int, Float32]) -> Check:
    """Compare with the right vectors `float32 [n, d], unit length` of each request, by its number."""

    def check(answer: Answer) -> float:
        vectors = np.array([entry["embedding"] for entry in _answered(answer)["data"]], dtype=np.float32)
        expected = right[answer.number]
        if vectors.shape != expected.shape:
            raise WrongAnswer(f"request {answer.number}: vectors of shape {vectors.shape}, not {expected.shape}")
        lengths = np.linalg.norm(vectors, axis=1)
        lowest = float((np.einsum("nd,nd->n", vectors, expected) / lengths).min())
        if not lowest >= FLOOR_COSINE:
            raise WrongAnswer(f"request {answer.number}: a vector has cosine {lowest:.6f} to the right one")
        return lowest

    return check


def classification_check(right: dict[int, dict[str, float]]) -> Check:
    """Compare with the right cosine of each label, by the request's number; only one image a request."""

    def check(answer: Answer) -> float:
        (entry,) = _answered(answer)["data"]
        told = {prediction["label"]: prediction["cosine"] for prediction in entry["predictions"]}
        expected = right[answer.number]
        if told.keys() != expected.keys():
            raise WrongAnswer(f"request {answer.number}: {len(told)} labels, not the {len(expected)} that were asked")
        largest = max(abs(told[label] - cosine) for label, cosine in expected.items())
        if not largest <= LARGEST_COSINE_ERROR:
            raise WrongAnswer(f"request {answer.number}: the cosine of a label is off by {largest:.6f}")
        return 1 - largest

    return check


def _answered(answer: Answer) -> dict:
    if answer.status != OK:
        raise WrongAnswer(f"request {answer.number}: status {answer.status}, {answer.body[:200]!r}")
    return orjson.loads(answer.body)
