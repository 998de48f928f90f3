from pathlib import Path

import pytest
from pydantic import ValidationError

from simila.domain.errors import InvalidManifest, UnknownEncoder
from simila.domain.manifest import Manifest
from simila_models.catalogue import BUNDLED_FOLDER, bundled_manifests, find_manifest, known_manifests

BUNDLED = ["all-minilm-l6-v2", "efficientnet-lite0", "efficientnet-lite2", "simila-lite"]


def users_manifest(folder: Path, name: str, *, file_name: str | None = None) -> None:
    text = (BUNDLED_FOLDER / "all-minilm-l6-v2.toml").read_text(encoding="utf-8")
    text = text.replace('"all-minilm-l6-v2"', f'"{name}"').replace("scale = 20.0", "scale = 5.0")
    (folder / f"{file_name or name}.toml").write_text(text, encoding="utf-8")


def test_the_bundle_holds_the_four_offline_encoders() -> None:
    assert {name: manifest.dimension for name, manifest in bundled_manifests().items()} == dict(
        zip(BUNDLED, (384, 1280, 1280, 384), strict=True)
    )


def test_a_users_manifest_is_found_beside_the_bundled(tmp_path: Path) -> None:
    users_manifest(tmp_path, "mine")
    assert find_manifest("mine", [tmp_path]).name == "mine"
    assert sorted(known_manifests([tmp_path])) == sorted([*BUNDLED, "mine"])


def test_a_users_manifest_wins_over_the_bundled_one_of_its_name(tmp_path: Path) -> None:
    users_manifest(tmp_path, "all-minilm-l6-v2")
    zero_shot = find_manifest("all-minilm-l6-v2", [tmp_path]).zero_shot
    assert zero_shot
    assert zero_shot.scale == 5.0


def test_a_folder_that_does_not_exist_holds_nothing(tmp_path: Path) -> None:
    assert sorted(known_manifests([tmp_path / "none"])) == BUNDLED


@pytest.mark.parametrize("name", ["clip", "../manifests/simila-lite", ""])
def test_an_unknown_name_is_refused_with_the_known_ones(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownEncoder, match=f"{', '.join(BUNDLED)}$") as caught:
        find_manifest(name, [tmp_path])
    assert f"'{name}'" in caught.value.message
    assert str(tmp_path) in caught.value.message


def test_a_file_must_be_called_after_its_encoder(tmp_path: Path) -> None:
    users_manifest(tmp_path, "mine", file_name="yours")
    with pytest.raises(InvalidManifest, match=r"yours\.toml describes the encoder 'mine'; call the file mine\.toml"):
        find_manifest("yours", [tmp_path])


def test_a_broken_file_does_no_harm_to_other_encoders(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("name = ")
    assert find_manifest("simila-lite", [tmp_path]).name == "simila-lite"
    with pytest.raises(InvalidManifest, match=r"broken\.toml"):
        known_manifests([tmp_path])


def changed(manifest: Manifest, **changes: object) -> Manifest:
    return Manifest.model_validate({**manifest.model_dump(), **changes})


def test_the_fingerprint_covers_what_changes_a_vector() -> None:
    manifest = bundled_manifests()["simila-lite"]
    image, text, files = (manifest.model_dump()[key] for key in ("image", "text", "files"))
    other_weights = ({**files[0], "sha256": "0" * 64}, *files[1:])
    changes = [
        {"image": {**image, "resize_shorter_edge_pixels": 257}},
        {"image": {**image, "mean": (0.5, 0.5, 0.5)}},
        {"text": {**text, "context_length_tokens": 128}},
        {"architecture": {**manifest.architecture, "temperature": 2.0}},
        {"files": other_weights},
    ]
    fingerprints = {changed(manifest, **change).fingerprint for change in changes}
    assert len(fingerprints | {manifest.fingerprint}) == len(changes) + 1


def test_fields_that_are_newer_than_an_encoder_leave_its_fingerprint_as_it_was() -> None:
    """Collections of the first version's encoders hold these."""
    assert {name: manifest.fingerprint[:16] for name, manifest in bundled_manifests().items()} == {
        "all-minilm-l6-v2": "a14f5b485ae5dc21",
        "efficientnet-lite0": "4280789c6160c63a",
        "efficientnet-lite2": "7cc157d5428141c4",
        "simila-lite": "7cb0a009f81c4060",
    }


def test_the_fingerprint_covers_the_newer_fields() -> None:
    manifest = bundled_manifests()["simila-lite"]
    image, text = (manifest.model_dump()[key] for key in ("image", "text"))
    changes = [
        {"image": {**image, "resize": "squash", "resize_shorter_edge_pixels": None}},
        {"image": {**image, "crop_offset": "nearest_even"}},
        {"image": {**image, "transparency": "ignored"}},
        {"image": {**image, "bits": 16}},
        {"image": {**image, "channels": 1, "mean": (0.5,), "std": (0.5,)}},
        {"text": {**text, "query_prefix": "query: "}},
        {"text": {**text, "passage_prefix": "passage: "}},
    ]
    fingerprints = {changed(manifest, **change).fingerprint for change in changes}
    assert len(fingerprints | {manifest.fingerprint}) == len(changes) + 1
    shorter = {"text": {**text, "matryoshka_dimensions": (64,)}}
    assert changed(manifest, **shorter).fingerprint == manifest.fingerprint


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("resize", "squash", "has no use for resize_shorter_edge_pixels"),
        ("mean", (0.5, 0.5), "mean and std need one value for each of 3 channels"),
        ("std", (0.5, 0.5, 0.0), "greater than 0"),
        ("resize_shorter_edge_pixels", None, "nothing could fill the square"),
    ],
)
def test_fields_that_contradict_each_other(field: str, value: object, complaint: str) -> None:
    manifest = bundled_manifests()["simila-lite"]
    with pytest.raises(ValidationError, match=complaint):
        changed(manifest, image={**manifest.model_dump()["image"], field: value})


def test_the_fingerprint_leaves_out_what_does_not() -> None:
    manifest = bundled_manifests()["simila-lite"]
    prompts = {"scale": 1.0, "templates": ("a drawing of a {}",)}
    assert changed(manifest, zero_shot=prompts).fingerprint == manifest.fingerprint
    moved = tuple({**file, "source": "file:elsewhere"} for file in manifest.model_dump()["files"])
    assert changed(manifest, description="other words", files=moved).fingerprint == manifest.fingerprint


def test_there_are_a_thousand_class_names_in_imagenets_order() -> None:
    names = (BUNDLED_FOLDER.parent / "data" / "imagenet_classes.txt").read_text(encoding="utf-8").splitlines()
    assert len(names) == 1000
    assert [names[0], names[207], names[999]] == ["tench", "Golden Retriever", "toilet paper"]
    assert all(name == name.strip() for name in names)
    assert all(names)
