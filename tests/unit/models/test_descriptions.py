"""What is read from a checkpoint's configuration, and what is refused rather than guessed."""

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from random_checkpoints import CHECKPOINTS
from simila.domain.errors import InvalidManifest
from simila.domain.manifest import Manifest, read_manifest
from simila_models.additions import Addition, write_manifest
from simila_models.export.descriptions import describe
from simila_models.export.descriptions.images import image_table
from simila_models.export.encoder import tower_makers
from simila_models.export.user_manifest import manifest_of
from simila_models.progress import Silent


@pytest.fixture
def xlm_roberta(tmp_path: Path) -> Path:
    CHECKPOINTS["xlm_roberta"](tmp_path / "xlm_roberta")
    return tmp_path / "xlm_roberta"


def change(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_sentence_encoder_says_how_it_pools_and_what_it_puts_before_a_text(xlm_roberta: Path) -> None:
    change(xlm_roberta / "config.json", matryoshka_dimensions=[8, 16])
    tables = describe(xlm_roberta, Addition(""))
    assert tables["text"] == {
        "context_length_tokens": 96,
        "pooling": "mean",
        "query_prefix": "query: ",
        "passage_prefix": "passage: ",
        "matryoshka_dimensions": [8, 16],
    }
    assert (tables["family"], tables["dimension"]) == ("sentence", 32)


@pytest.mark.parametrize(("field", "pooling"), [("pooling_mode_cls_token", "cls"), ("pooling_mode_lasttoken", "last")])
def test_the_older_form_of_pooling(field: str, pooling: str, xlm_roberta: Path) -> None:
    flags = {"pooling_mode_mean_tokens": False, field: True, "word_embedding_dimension": 32}
    (xlm_roberta / "1_Pooling" / "config.json").write_text(json.dumps(flags))
    assert describe(xlm_roberta, Addition(""))["text"]["pooling"] == pooling


@pytest.mark.parametrize(
    ("file", "changes", "complaint"),
    [
        ("1_Pooling/config.json", {"pooling_mode": "max"}, "tokens are pooled by max, which is not exported"),
        ("config.json", {"auto_map": {"AutoModel": "modeling.Evil"}}, r"asks for code of its own \(auto_map\)"),
    ],
)
def test_what_is_not_exported_is_refused(file: str, changes: dict[str, Any], complaint: str, xlm_roberta: Path) -> None:
    change(xlm_roberta / file, **changes)
    with pytest.raises(InvalidManifest, match=complaint):
        describe(xlm_roberta, Addition(""))


def test_a_module_behind_the_pooling_is_refused(xlm_roberta: Path) -> None:
    modules = json.loads((xlm_roberta / "modules.json").read_text())
    dense = {"idx": 3, "name": "3", "path": "3_Dense", "type": "sentence_transformers.models.Dense"}
    (xlm_roberta / "modules.json").write_text(json.dumps([*modules, dense]))
    with pytest.raises(InvalidManifest, match="modules that are not exported: Dense"):
        describe(xlm_roberta, Addition(""))


def test_a_bare_model_needs_a_pooling(xlm_roberta: Path) -> None:
    (xlm_roberta / "modules.json").unlink()
    with pytest.raises(InvalidManifest, match="say --pooling mean, cls or last"):
        describe(xlm_roberta, Addition(""))
    assert describe(xlm_roberta, Addition("", pooling="cls"))["text"]["pooling"] == "cls"


def test_siglips_scale_bias_and_sigmoid_come_from_its_weights(tmp_path: Path) -> None:
    CHECKPOINTS["siglip"](tmp_path / "siglip")
    zero_shot = describe(tmp_path / "siglip", Addition(""))["zero_shot"]
    assert zero_shot == {
        "scale": pytest.approx(7.389056, rel=1e-6),
        "bias": -10.0,
        "activation": "sigmoid",
        "templates": ["This is a photo of {}."],
    }


@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        (CLIPImageProcessorPil(), {"size_pixels": 224, "resize_shorter_edge_pixels": 224}),
        (SiglipImageProcessorPil(), {"size_pixels": 224, "resize": "squash"}),
        (
            ConvNextImageProcessorPil(size={"shortest_edge": 224}),
            {"size_pixels": 224, "resize_shorter_edge_pixels": 256},
        ),
        (ConvNextImageProcessorPil(), {"size_pixels": 384, "resize": "squash"}),
    ],
)
def test_the_geometry_of_processors(processor: Any, expected: dict[str, Any]) -> None:
    table = image_table(processor)
    geometry = ("size_pixels", "resize", "resize_shorter_edge_pixels")
    assert {key: table[key] for key in geometry if key in table} == expected


@pytest.mark.parametrize(
    "options",
    [
        {"size": {"height": 224, "width": 336}, "do_center_crop": False},
        {"size": {"shortest_edge": 224}, "do_center_crop": False},
        {"resample": 0},
        {"rescale_factor": 1 / 127.5},
    ],
)
def test_a_processor_that_a_manifest_cannot_describe(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidManifest, match="CLIPImageProcessorPil"):
        image_table(CLIPImageProcessorPil(**options))


def test_weights_that_are_missing_are_not_made_up(tmp_path: Path) -> None:
    CHECKPOINTS["vit"](tmp_path / "vit")
    path = tmp_path / "vit" / "model.safetensors"
    weights = load_file(path)
    lost = next(name for name in weights if name.endswith("layernorm_before.weight"))
    save_file({name: tensor for name, tensor in weights.items() if name != lost}, path, metadata={"format": "pt"})
    manifest = manifest_of(Addition(str(tmp_path / "vit")), tmp_path, Silent())
    with pytest.raises(InvalidManifest, match=r"weights do not fit its config\.json: .*\.0\.layernorm_before\.weight"):
        tower_makers(manifest, {file.role: tmp_path / "vit" / file.path for file in manifest.files})


def test_a_written_manifest_reads_back_the_same(tmp_path: Path, xlm_roberta: Path) -> None:
    (xlm_roberta / "README.md").write_text("---\nlicense: mit\n---\n")
    manifest = manifest_of(Addition(str(xlm_roberta), name="e5"), tmp_path, Silent())
    assert (manifest.name, manifest.licence) == ("e5", "mit")
    read = read_manifest(write_manifest(manifest, tmp_path / "manifests"))
    assert Manifest.model_validate(read.model_dump()) == Manifest.model_validate(manifest.model_dump())
    assert read.fingerprint == manifest.fingerprint
