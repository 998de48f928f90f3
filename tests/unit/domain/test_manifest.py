"""What a manifest must say, and what changes its fingerprint."""

import copy
import hashlib
import json

import pytest

from simila.domain.errors import InvalidManifest
from simila.domain.manifest import Manifest, Modality, read_manifest
from simila.domain.precision import Precision

TABLE = {
    "name": "tiny",
    "description": "Tests.",
    "family": "none",
    "licence": "MIT",
    "dimension": 3,
    "architecture": {"image": "small", "temperature": 1.0},
    "image": {
        "size_pixels": 8,
        "resize_shorter_edge_pixels": 9,
        "interpolation": "bicubic",
        "mean": [0.5, 0.5, 0.5],
        "std": [0.25, 0.25, 0.25],
        "pooling": "average",
    },
    "text": {"context_length_tokens": 16, "pooling": "mean"},
    "zero_shot": {"scale": 20.0, "templates": ["{}"]},
    "files": [
        {"role": "weights", "source": "pypi:tiny==1.0", "path": "tiny/weights.bin", "sha256": "a" * 64},
        {"role": "tokenizer", "source": "file:data", "path": "tokenizer.json", "sha256": "b" * 64},
    ],
}
TOML = """
name = "tiny"
description = "Tests."
family = "none"
licence = "MIT"
dimension = 3
[text]
context_length_tokens = 16
pooling = "mean"
[[files]]
role = "weights"
source = "file:."
path = "weights.bin"
sha256 = "{sha256}"
"""


def changed(*path_and_value):
    """The table with one value replaced, or left out where it is None."""
    *path, last, value = path_and_value
    table = copy.deepcopy(TABLE)
    place = table
    for key in path:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return table


def fingerprint(table):
    return Manifest.model_validate(table).fingerprint


def test_the_fingerprint_is_the_hash_of_towers_weights_and_recipe():
    image = TABLE["image"] | {"input_name": "pixels", "output_name": "embedding"}
    text = TABLE["text"] | {"ids_name": "input_ids", "mask_name": "attention_mask", "output_name": "embedding"}
    parts = {
        "architecture": TABLE["architecture"],
        "dimension": 3,
        "family": "none",
        "image": image,
        "text": text,
        "weights": [["tokenizer", "b" * 64], ["weights", "a" * 64]],
    }
    assert fingerprint(TABLE) == hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        ("family", "other"),
        ("dimension", 4),
        ("architecture", "temperature", 2.0),
        ("image", "size_pixels", 9),
        ("image", "resize_shorter_edge_pixels", 10),
        ("image", "interpolation", "bilinear"),
        ("image", "mean", [0.5, 0.5, 0.4]),
        ("image", "std", [0.25, 0.25, 0.5]),
        ("text", "context_length_tokens", 17),
        ("files", 0, "sha256", "c" * 64),
        ("files", 0, "role", "other"),
        ("image", None),
    ],
    ids=str,
)
def test_what_changes_a_vector_changes_the_fingerprint(change):
    assert fingerprint(changed(*change)) != fingerprint(TABLE)


@pytest.mark.parametrize(
    "change",
    [
        ("name", "other"),
        ("description", "Other."),
        ("licence", "BSD"),
        ("parity_floor", 0.5),
        ("zero_shot", "scale", 1.0),
        ("zero_shot", "templates", ["a photo of a {}"]),
        ("zero_shot", None),
        ("files", TABLE["files"][::-1]),
        ("files", 0, "source", "file:elsewhere"),
        ("files", 0, "path", "renamed.bin"),
        ("folder", "elsewhere"),
    ],
    ids=str,
)
def test_what_changes_no_vector_leaves_the_fingerprint(change):
    assert fingerprint(changed(*change)) == fingerprint(TABLE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("name", "Tiny"), "name"),
        (("name", "a/b"), "name"),
        (("name", "x" * 65), "name"),
        (("family", "../family"), "family"),
        (("dimension", 0), "dimension"),
        (("parity_floor", 1.5), "parity_floor"),
        (("image", "interpolation", "nearest"), "interpolation"),
        (("image", "size_pixels", 0), "size_pixels"),
        (("text", "context_length_tokens", 2), "context_length_tokens"),
        (("zero_shot", "scale", 0), "scale"),
        (("zero_shot", "templates", []), "templates"),
        (("zero_shot", "activation", "relu"), "activation"),
        (("text", None), r"\[zero_shot\] needs a \[text\] tower to embed its prompts"),
        (("files", []), "files"),
        (("files", 0, "sha256", "A" * 64), "sha256"),
        (("files", 0, "source", "https://example.org"), "source"),
        (("licence", None), "licence"),
        (("weights", "x"), "weights"),
    ],
    ids=str,
)
def test_a_table_that_breaks_the_schema_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Manifest.model_validate(changed(*change))


def test_an_encoder_without_towers_is_refused():
    table = {key: value for key, value in TABLE.items() if key not in {"image", "text", "zero_shot"}}
    with pytest.raises(ValueError, match=r"an encoder needs an \[image\] or a \[text\] tower"):
        Manifest.model_validate(table)


def test_modalities_are_the_towers():
    assert Manifest.model_validate(TABLE).modalities == (Modality.IMAGE, Modality.TEXT)
    assert Manifest.model_validate(changed("image", None)).modalities == (Modality.TEXT,)


def test_a_file_is_found_by_its_role():
    manifest = Manifest.model_validate(TABLE)
    assert manifest.file("tokenizer").path == "tokenizer.json"
    with pytest.raises(InvalidManifest, match="manifest tiny: family none needs a file with the role 'vocabulary'"):
        manifest.file("vocabulary")


def test_a_manifest_is_read_with_its_folder(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(TOML.format(sha256="a" * 64))
    manifest = read_manifest(path)
    assert (manifest.name, manifest.folder, manifest.parity_floor) == ("tiny", tmp_path, 0.9999)
    assert manifest.text.ids_name == "input_ids"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"name = ", "Invalid value"),
        (TOML.format(sha256="short").encode(), r"files\.0\.sha256"),
        (b'name = "tiny"', "Field required"),
    ],
)
def test_a_file_that_is_no_manifest_is_named(tmp_path, content, message):
    path = tmp_path / "tiny.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidManifest, match=rf"(?s)^manifest tiny\.toml: .*{message}"):
        read_manifest(path)


def test_a_file_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_bytes(b"name = '\xff\xfe'")
    with pytest.raises(InvalidManifest, match=r"^manifest tiny\.toml: "):
        read_manifest(path)


def test_settings_choose_the_precision_of_an_encoder_or_of_one_tower():
    manifest = Manifest.model_validate({**TABLE, "precisions": {"text": "fp16"}})
    wishes = {"tiny": Precision.INT8_DYNAMIC, "tiny.image": Precision.INT8_STATIC, "other": Precision.FP16}
    assert manifest.served_in({}).precisions == {"image": "fp32", "text": "fp16"}
    assert manifest.served_in(wishes).precisions == {"image": "int8-static", "text": "int8-dynamic"}


def test_int8_vectors_have_a_fingerprint_of_their_own_and_fp16_vectors_the_references():
    manifest = Manifest.model_validate(TABLE)
    fingerprints = {precision: manifest.served_in({"tiny.text": precision}).fingerprint for precision in Precision}
    assert fingerprints[Precision.FP32] == fingerprints[Precision.FP16] == manifest.fingerprint
    assert len(set(fingerprints.values())) == 3
    assert manifest.served_in({"tiny": Precision.INT8_STATIC}).reference.fingerprint == manifest.fingerprint


def test_a_precision_of_a_tower_that_is_not_there():
    table = {name: value for name, value in TABLE.items() if name != "image"}
    with pytest.raises(ValueError, match="names the image tower, and there is none"):
        Manifest.model_validate({**table, "precisions": {"image": "fp16"}})


def test_a_copy_with_another_recipe_has_another_fingerprint():
    manifest = Manifest.model_validate(TABLE)
    assert manifest.fingerprint == manifest.model_copy().fingerprint
    other = manifest.model_copy(update={"family": "other"})
    assert other.fingerprint == fingerprint({**TABLE, "family": "other"}) != manifest.fingerprint
