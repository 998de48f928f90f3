"""A user's own ONNX file with a manifest, and graphs whose weights lie beside them."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor, nn

from added_encoder import Added, lowest_cosine
from random_checkpoints import CHECKPOINTS
from simila.app import load_encoders
from simila.domain.errors import HashMismatch, InvalidManifest, NotExported
from simila.domain.manifest import Modality
from simila.domain.model_repository import ModelRepository
from simila.settings import Settings
from simila_models.additions import Addition, add_encoder
from simila_models.export import graph
from simila_models.export.golden_images import golden_images
from simila_models.export.graph import export_graph
from simila_models.export.reference_preprocessing import manifest_processor, normalised_pixels
from simila_models.integrity import verify
from simila_models.progress import Silent
from tolerances import PARITY_COSINE

IMAGE = """
dimension = 8
[image]
size_pixels = 16
resize = "squash"
interpolation = "lanczos"
mean = [0.4, 0.5, 0.6]
std = [0.2, 0.3, 0.4]
pooling = "model"
"""
TEXT = """
dimension = 8
[text]
context_length_tokens = 12
pooling = "{pooling}"
"""
TEXTS = ["a cat", "a red cat sat", "cat", "a red red red cat sat on a red cat sat on a cat"]
WORDS = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "red": 4, "cat": 5, "sat": 6, "on": 7}


class States(nn.Module):
    """Ids, mask and token types to one vector a token, in which each token knows its place."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(len(WORDS), 8)
        self.places = nn.Embedding(12, 8)
        self.types = nn.Embedding(2, 8)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        states = self.words(input_ids) + self.places(torch.arange(input_ids.shape[1])) + self.types(token_type_ids)
        return states * attention_mask.unsqueeze(-1)


def add(model: Path, manifest: str, root: Path) -> Added:
    (root / "manifest.toml").write_text(manifest)
    repository = ModelRepository(root / "models")
    addition = Addition(f"file:{model}", manifest=str(root / "manifest.toml"))
    return Added(add_encoder(addition, root / "manifests", repository, root / "sources", Silent()), repository)


def test_an_image_model_of_normalised_pixels(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 5, stride=3), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    example = {"pixels": np.zeros((2, 3, 16, 16), np.float32)}
    export_graph(network, example, ("batch",), "embedding", tmp_path / "mine.onnx")
    encoder = add(tmp_path / "mine.onnx", IMAGE, tmp_path)
    assert encoder.manifest.name == "mine"
    assert encoder.manifest.image
    images = list(golden_images().values())
    pixels = torch.from_numpy(normalised_pixels(images, manifest_processor(encoder.manifest.image)))
    with torch.no_grad():
        assert lowest_cosine(encoder.image_vectors(images), network(pixels).flatten(1)) >= PARITY_COSINE
    [status] = load_encoders(Settings(data_dir=tmp_path), [encoder.manifest])
    assert status.error is None


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_a_text_model_of_token_states(pooling: str, tmp_path: Path) -> None:
    names = ("input_ids", "attention_mask", "token_type_ids")
    example = dict.fromkeys(names, np.ones((2, 5), np.int64))
    network = States()
    export_graph(network, example, ("batch", "tokens"), "states", tmp_path / "mine.onnx")
    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("[CLS]", 1), ("[SEP]", 2)]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    encoder = add(tmp_path / "mine.onnx", TEXT.format(pooling=pooling), tmp_path)

    reference = []
    for text in TEXTS:
        ids = torch.tensor([[1, *(WORDS[word] for word in text.split()[:10]), 2]])
        with torch.no_grad():
            states = network(ids, torch.ones_like(ids), torch.zeros_like(ids))[0]
        reference.append({"mean": states.mean(0), "cls": states[0], "last": states[-1]}[pooling])
    vectors = encoder.text_vectors(TEXTS)
    assert lowest_cosine(vectors, torch.stack(reference)) >= PARITY_COSINE
    if pooling == "mean":
        assert float(vectors[0] @ vectors[1]) < PARITY_COSINE


def test_without_a_manifest_it_says_what_is_missing(tmp_path: Path) -> None:
    addition = Addition(f"file:{tmp_path}/mine.onnx")
    with pytest.raises(InvalidManifest, match="does not say how its inputs are prepared; write a manifest: --manifest"):
        add_encoder(addition, tmp_path, ModelRepository(tmp_path / "models"), tmp_path, Silent())


def test_weights_of_more_than_two_gigabytes_lie_beside_the_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lower limit stands for larger weights."""
    monkeypatch.setattr(graph, "MOST_WEIGHTS_BYTES", 1000)
    CHECKPOINTS["resnet"](tmp_path / "resnet")
    repository = ModelRepository(tmp_path / "models")
    addition = Addition(str(tmp_path / "resnet"))
    manifest = add_encoder(addition, tmp_path / "manifests", repository, tmp_path / "sources", Silent())
    files = repository.exported_tower(manifest, Modality.IMAGE)
    assert files.onnx_data.stat().st_size > 50_000
    assert files.onnx.stat().st_size < files.onnx_data.stat().st_size
    kept = onnx.load(files.onnx, load_external_data=False).graph.initializer
    assert {entry.value for tensor in kept for entry in tensor.external_data if entry.key == "location"} == {
        "model.onnx.data"
    }
    [status] = load_encoders(Settings(data_dir=tmp_path), [manifest])
    assert status.error is None

    verify(manifest, repository)
    files.onnx_data.write_bytes(files.onnx_data.read_bytes()[:-1] + b"!")
    with pytest.raises(HashMismatch, match=r"model\.onnx\.data: expected SHA-256"):
        verify(manifest, repository)
    files.onnx_data.unlink()
    with pytest.raises(NotExported, match=r"1/model\.onnx\.data is gone"):
        verify(manifest, repository)
