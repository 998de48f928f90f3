"""A user's own ONNX files: normalised pixels or token ids in, vectors or token states out."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch
from torch import Tensor

from simila.domain.errors import InvalidManifest
from simila.domain.manifest import Manifest, Modality
from simila_models.export.golden_bands import pixels_of_bands
from simila_models.export.image_tower import image_tower
from simila_models.export.onnx_ends import is_mask, is_token_type, with_image_ends, with_text_ends
from simila_models.export.reference_preprocessing import pixels_by_manifest
from simila_models.export.text_tower import text_tower
from simila_models.export.tokenizers import tokenizer_of_file
from simila_models.export.tower import Tower


def towers(manifest: Manifest, files: Mapping[str, Path]) -> dict[Modality, Callable[[], Tower]]:
    """Give the towers that the manifest has. Roles: image_model; text_model and tokenizer."""
    made: dict[Modality, Callable[[], Tower]] = {}
    if manifest.image:
        path = files[manifest.file("image_model").role]
        graph = with_image_ends(_loaded(path), manifest.image)
        prepare = partial(pixels_by_manifest if manifest.image.is_rgb else pixels_of_bands, manifest.image)
        made[Modality.IMAGE] = partial(image_tower, manifest.image, graph, partial(_image_vector, path), prepare)
    if manifest.text:
        path = files[manifest.file("text_model").role]
        tokenizer = tokenizer_of_file(files[manifest.file("tokenizer").role], manifest.text.context_length_tokens)
        graph = with_text_ends(_loaded(path), manifest.text)
        reference = partial(_text_vector, path, manifest.text.pooling, tokenizer.library)
        made[Modality.TEXT] = partial(text_tower, manifest.text, graph, reference, tokenizer)
    return made


def _loaded(path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's and ONNX's errors share no base but this
        raise InvalidManifest(f"{path} is no ONNX model: {error}") from error
    return model


def _image_vector(path: Path, pixels: Tensor) -> Tensor:
    session = _session(path)
    [entry] = session.get_inputs()
    return torch.from_numpy(session.run(None, {entry.name: pixels.numpy()})[0]).flatten(1)


def _text_vector(path: Path, pooling: str, tokenizer: Any, text: str) -> Tensor:
    """Of one text alone, so that there is no padding to pool."""
    session = _session(path)
    ids = tokenizer(text, truncation=True, return_tensors="np")["input_ids"]
    given = {}
    for entry in session.get_inputs():
        values = ids**0 if is_mask(entry.name) else 0 * ids if is_token_type(entry.name) else ids
        given[entry.name] = values.astype("int32" if entry.type == "tensor(int32)" else "int64")
    output = torch.from_numpy(session.run(None, given)[0])[0]
    return {"mean": lambda: output.mean(0), "cls": lambda: output[0], "last": lambda: output[-1]}.get(
        pooling, lambda: output
    )()


def _session(path: Path) -> Any:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
