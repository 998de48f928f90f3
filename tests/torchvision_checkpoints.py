"""timm and OpenCLIP against themselves, in a process of its own: they need torchvision, which changes transformers.

`python torchvision_checkpoints.py FOLDER` prints JSON: by encoder and tower the lowest cosine to the library's vectors,
and by encoder the largest difference of a pixel and the processor's seconds. Two checkpoints lie where the hub's client
caches them, `FOLDER/hub`, so that both sides find them by name.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

# PyPI's torchvision is compiled for CUDA. Its operators cannot be loaded beside a torch for CPUs; its transforms can,
# once the operators that it describes at import have names.
_OPERATORS = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    _OPERATORS.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import open_clip  # noqa: E402
import timm  # noqa: E402
from PIL import Image  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from timm.data import create_transform, resolve_model_data_config  # noqa: E402

import hub_cache  # noqa: E402
from added_encoder import Added, lowest_cosine  # noqa: E402
from simila.domain.errors import ModelError  # noqa: E402
from simila.domain.model_repository import ModelRepository  # noqa: E402
from simila.preprocessing.images import image_row  # noqa: E402
from simila_models.additions import Addition, add_encoder  # noqa: E402
from simila_models.export.golden_images import golden_images  # noqa: E402
from simila_models.export.golden_texts import GOLDEN_TEXTS  # noqa: E402
from simila_models.export.reference_preprocessing import decoded  # noqa: E402
from simila_models.progress import Silent  # noqa: E402

IMAGES = list(golden_images().values())
TEXTS = [*GOLDEN_TEXTS, "   ", "It\u2019s \u201ca photo\u201d of a cat"]


TIMM_NAME = "test_resnet.r160_in1k"
OPEN_CLIP_NAME, OPEN_CLIP_REPOSITORY = "ViT-B-32/laion2b_s34b_b79k", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"


def save_timm(folder: Path, architecture: str, **options: object) -> Any:
    """As `timm.models.save_for_hf`, with other preprocessing."""
    torch.manual_seed(0)
    model = timm.create_model(architecture, **options).eval()
    folder.mkdir()
    save_file(model.state_dict(), folder / "model.safetensors")
    figures = {"input_size": [3, 64, 64], "interpolation": "bicubic", "crop_pct": 0.95, "crop_mode": "center"}
    pretrained = model.pretrained_cfg | figures | {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    kept = {key: value for key, value in pretrained.items() if isinstance(value, str | float | list)}
    config = {"architecture": architecture, "num_classes": 1000, "pretrained_cfg": kept, "model_args": options}
    (folder / "config.json").write_text(json.dumps(config))
    return model


def save_open_clip(folder: Path) -> None:
    """As `open_clip.push_to_hf_hub.save_for_hf`."""
    torch.manual_seed(0)
    vision = {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8}
    text = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
    model_config = {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}
    images = {"size": 32, "mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28], "resize_mode": "shortest"}
    model = open_clip.CLIP(**model_config).eval()
    folder.mkdir()
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    config = {"model_cfg": model_config, "preprocess_cfg": images | {"interpolation": "bicubic"}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))


def add(source: str, folder: Path, **wishes: str) -> tuple[Added, float]:
    """The encoder, and the seconds of the processor that adding it took."""
    root, began_at = folder.parent, time.process_time()
    repository = ModelRepository(root / "models")
    addition = Addition(source, name=folder.name, offline=True, **wishes)
    added = Added(add_encoder(addition, root / "manifests", repository, root / "sources", Silent()), repository)
    return added, time.process_time() - began_at


def transformed(transform: Any) -> torch.Tensor:
    return torch.stack([transform(decoded(image).convert("RGB")) for image in IMAGES])


def most_grey_levels(encoder: Added, transform: Any) -> int:
    """Between the server's rows and what the library's transform makes, before it is normalised."""
    tower = encoder.manifest.image
    assert tower
    rows = np.stack([image_row(image, tower, max_pixels=50_000_000) for image in IMAGES])
    mean, std = (np.array(values).reshape(1, 3, 1, 1) for values in (tower.mean, tower.std))
    reference = 255 * (transformed(transform).numpy() * std + mean)
    return int(np.abs(rows - np.rint(reference)).max())


@torch.no_grad()
def check_timm(folder: Path, architecture: str, *, layer: str = "", **options: float) -> dict[str, float]:
    model = save_timm(folder, architecture, **options)
    configuration = resolve_model_data_config(timm.create_model(f"local-dir:{folder}"))
    return compared_with_timm(folder, str(folder), model, configuration, layer)


@torch.no_grad()
def check_timm_by_name(folder: Path) -> dict[str, float]:
    torch.manual_seed(0)
    timm.models.save_for_hf(timm.create_model(TIMM_NAME), folder, safe_serialization=True)
    hub_cache.fill(folder.parent / "hub", f"timm/{TIMM_NAME}", folder)
    model = timm.create_model(TIMM_NAME, pretrained=True).eval()
    return compared_with_timm(folder, f"timm:{TIMM_NAME}", model, resolve_model_data_config(model))


def compared_with_timm(
    folder: Path, source: str, model: Any, configuration: dict[str, Any], layer: str = ""
) -> dict[str, float]:
    transform = create_transform(**configuration, is_training=False)
    encoder, seconds = add(source, folder, layer=layer)
    pixels = transformed(transform)
    if layer:
        reference = model.features[: int(layer.rpartition(".")[2]) + 1](pixels).mean((2, 3))
    else:
        reference = model.forward_head(model.forward_features(pixels), pre_logits=True)
    cosine = lowest_cosine(encoder.image_vectors(IMAGES), reference)
    return {"image": cosine, "grey levels": most_grey_levels(encoder, transform), "seconds": seconds}


@torch.no_grad()
def check_open_clip_by_name(folder: Path) -> dict[str, float]:
    save_open_clip(folder)
    hub_cache.fill(folder.parent / "hub", OPEN_CLIP_REPOSITORY, folder)
    model, _, transform = open_clip.create_model_and_transforms(f"hf-hub:{OPEN_CLIP_REPOSITORY}")
    tokenizer = open_clip.get_tokenizer(f"hf-hub:{OPEN_CLIP_REPOSITORY}")
    encoder, seconds = add(f"open_clip:{OPEN_CLIP_NAME}", folder)
    return {
        "image": lowest_cosine(encoder.image_vectors(IMAGES), model.encode_image(transformed(transform))),
        "text": lowest_cosine(encoder.text_vectors(TEXTS), model.encode_text(tokenizer(TEXTS))),
        "grey levels": most_grey_levels(encoder, transform),
        "seconds": seconds,
    }


def refusals(root: Path) -> list[str]:
    """What is said of names that no weights, or only pickles, have."""
    said = []
    hub_cache.fill(root / "hub", "jienengchen/ViTamin-S", root / "pickles")
    for source in ("timm:resnet50.of_nobody", "open_clip:ViT-B-32/of_nobody", "open_clip:ViTamin-S/datacomp1b"):
        try:
            add(source, root / "refused")
        except ModelError as error:
            said.append(error.message)
    return said


def main(root: Path) -> None:
    Image.MAX_IMAGE_PIXELS = None
    figures = {
        "timm-resnet": check_timm_by_name(root / "timm-resnet"),
        "timm-vit": check_timm(root / "timm-vit", "test_vit"),
        "timm-vgg, layer features.10": check_timm(
            root / "timm-vgg-layer", "vgg11", layer="features.10", mlp_ratio=0.01
        ),
        "open-clip": check_open_clip_by_name(root / "open-clip"),
    }
    (root / "pickles").mkdir()
    (root / "pickles" / "pytorch_model.bin").write_bytes(b"a pickle")
    sys.stdout.write(json.dumps({"figures": figures, "refusals": refusals(root)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
