"""Every family of checkpoints, through `add_encoder` and the server's own preprocessing, against its own library."""

from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from sentence_transformers import SentenceTransformer
from skimage import data
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

from added_encoder import Added, lowest_cosine
from random_checkpoints import CHECKPOINTS
from simila.domain.manifest import ImageTower, Modality
from simila.domain.model_repository import ModelRepository
from simila.preprocessing.images import image_row
from simila_models.additions import Addition, add_encoder
from simila_models.export.descriptions.images import image_table
from simila_models.export.golden_images import golden_images
from simila_models.export.golden_texts import GOLDEN_TEXTS
from simila_models.export.reference_preprocessing import decoded
from simila_models.progress import Silent
from tolerances import MOST_ROUNDED_PIXELS, PARITY_COSINE, ROUNDED_GREY_LEVELS

JOINT = ("clip", "siglip", "siglip2")
SENTENCE = ("bert", "mpnet", "xlm_roberta", "modernbert", "qwen3")
VISION = ("vit", "dinov2_with_registers", "rad_dino", "vit_mae", "convnext", "resnet")
INNER_LAYER = "encoder.stages.2"
TEXTS = [*GOLDEN_TEXTS, "   ", "a photo of a cat", "It's a cat-dog, (really)!", "the lazy dog " * 60]


def photograph(pixels: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


IMAGES = [
    *golden_images().values(),
    photograph(data.chelsea()),
    photograph(data.rocket()[:, 100:275]),
    photograph(data.coffee()[:39, :31]),
]


def added(name: str, root: Path, **wishes: str) -> tuple[Path, Added]:
    checkpoint = root / name
    CHECKPOINTS[name](checkpoint)
    repository = ModelRepository(root / "models")
    addition = Addition(str(checkpoint), name=name.replace("_", "-"), **wishes)
    manifest = add_encoder(addition, root / "manifests", repository, root / "sources", Silent())
    return checkpoint, Added(manifest, repository)


@pytest.fixture(scope="module", params=CHECKPOINTS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Added]:
    return added(request.param, tmp_path_factory.mktemp("data"))


def processor_of(folder: Path) -> Any:
    return AutoImageProcessor.from_pretrained(folder, backend="pil")


@torch.no_grad()
def reference_images(checkpoint: Path, images: Sequence[bytes]) -> torch.Tensor:
    """What the checkpoint's model card would have one write."""
    processor = processor_of(checkpoint)
    model = AutoModel.from_pretrained(checkpoint, dtype=torch.float32).eval()
    pixels = [processor(images=on_white(decoded(image)), return_tensors="pt") for image in images]
    name = checkpoint.name
    if name in JOINT:
        return torch.cat([model.get_image_features(**one).pooler_output for one in pixels])
    if name == "vit_mae":
        model.config.mask_ratio = 0.0
    if name in ("convnext", "resnet"):
        return torch.cat([model(**one).pooler_output.flatten(1) for one in pixels])
    return torch.cat([model(**one).last_hidden_state[:, 0] for one in pixels])


@torch.no_grad()
def inner_layer_compared(root: Path) -> float:
    """Lowest cosine of a ConvNeXt's third stage, averaged over places, to the hidden state that transformers gives."""
    checkpoint, encoder = added("convnext", root, layer=INNER_LAYER)
    assert encoder.manifest.architecture["layer"] == INNER_LAYER
    processor, model = processor_of(checkpoint), AutoModel.from_pretrained(checkpoint).eval()
    pixels = [processor(images=on_white(decoded(image)), return_tensors="pt") for image in IMAGES]
    states = [model(**one, output_hidden_states=True).hidden_states[3] for one in pixels]
    return lowest_cosine(encoder.image_vectors(IMAGES), torch.cat([state.mean((2, 3)) for state in states]))


def on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB")


@torch.no_grad()
def reference_texts(checkpoint: Path, texts: Sequence[str]) -> torch.Tensor:
    name = checkpoint.name
    if name in SENTENCE:
        model = SentenceTransformer(str(checkpoint), device="cpu")
        return torch.from_numpy(np.stack([model.encode(text, show_progress_bar=False) for text in texts]))
    model = AutoModel.from_pretrained(checkpoint, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    padding = {"padding": "max_length", "max_length": 64} if name != "clip" else {"max_length": 77}
    rows = [tokenizer(text, truncation=True, return_tensors="pt", **padding) for text in texts]
    return torch.cat([model.get_text_features(**row).pooler_output for row in rows])


def takers_of_pixels(encoder: Added) -> set[str]:
    onnx_path = encoder.repository.exported_tower(encoder.manifest, Modality.IMAGE).onnx
    nodes = onnx.load(onnx_path, load_external_data=False).graph.node
    return {node.op_type for node in nodes if "pixels" in node.input}


def test_vectors_are_the_librarys(pair: tuple[Path, Added], record_property: Callable[[str, object], None]) -> None:
    (checkpoint, encoder), figures = pair, {}
    if encoder.manifest.image:
        vectors = encoder.image_vectors(IMAGES)
        figures["image"] = lowest_cosine(vectors, reference_images(checkpoint, IMAGES))
        assert takers_of_pixels(encoder) == {"Cast"}, "TensorRT takes bytes only into a cast"
        assert np.median(vectors @ vectors.T) < PARITY_COSINE - 0.001
    if encoder.manifest.text:
        vectors = encoder.text_vectors(TEXTS)
        figures["text"] = lowest_cosine(vectors, reference_texts(checkpoint, TEXTS))
        assert np.median(vectors @ vectors.T) < PARITY_COSINE - 0.001
    for modality, cosine in figures.items():
        record_property(f"lowest cosine, {modality}", cosine)
    assert min(figures.values()) >= PARITY_COSINE


def test_an_inner_layer_of_a_convnet_is_the_librarys(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    cosine = inner_layer_compared(tmp_path)
    record_property("lowest cosine, image", cosine)
    assert cosine >= PARITY_COSINE


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_pixels_are_those_of_the_checkpoints_processor(
    name: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    CHECKPOINTS[name](tmp_path / name)
    processor = processor_of(tmp_path / name)
    tower = ImageTower.model_validate({**image_table(processor), "pooling": "model"})
    largest, moved = 0, 0.0
    for image in IMAGES:
        row = image_row(image, tower, max_pixels=50_000_000)
        reference = processor(images=decoded(image), do_rescale=False, do_normalize=False)["pixel_values"][0]
        differences = np.abs(row.astype(int) - reference)
        largest, moved = max(largest, int(differences.max())), max(moved, float(np.mean(differences > 0)))
    record_property("largest difference, grey levels", largest)
    record_property("largest share of values that differ", moved)
    assert (largest, moved) <= {"clip": (ROUNDED_GREY_LEVELS, MOST_ROUNDED_PIXELS), "siglip": (0, 0.0)}[name]
    assert moved <= MOST_ROUNDED_PIXELS
