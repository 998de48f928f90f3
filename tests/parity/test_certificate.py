"""A manifest that is wrong in one field of its preprocessing does not become ready, whichever field it is."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from random_checkpoints import CHECKPOINTS
from simila.app import load_encoders
from simila.domain.errors import ParityFailed
from simila.domain.manifest import ImageTower, Manifest, Modality, TextTower
from simila.domain.model_repository import ModelRepository
from simila.settings import Settings
from simila_models.additions import Addition, add_encoder
from simila_models.export import export_encoder
from simila_models.progress import Silent

WRONG_IN_THE_GRAPH = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
WRONG_IN_THE_SERVER: dict[str, dict[str, object]] = {
    "resize": {"resize": "squash", "resize_shorter_edge_pixels": None},
    "resize_shorter_edge_pixels": {"resize_shorter_edge_pixels": 36},
    "crop_offset": {"crop_offset": "nearest_even"},
    "interpolation": {"interpolation": "bilinear"},
    "transparency": {"transparency": "ignored"},
}


@dataclass(frozen=True)
class Exported:
    manifest: Manifest
    settings: Settings

    @property
    def repository(self) -> ModelRepository:
        return ModelRepository(self.settings.models_dir)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    root = tmp_path_factory.mktemp("certificate")
    CHECKPOINTS["clip"](root / "clip")
    settings = Settings(data_dir=root)
    addition, repository = Addition(str(root / "clip")), ModelRepository(settings.models_dir)
    return Exported(add_encoder(addition, settings.manifests_dir, repository, root / "sources", Silent()), settings)


def with_image(manifest: Manifest, changes: dict[str, object]) -> Manifest:
    assert manifest.image
    image = ImageTower.model_validate(manifest.image.model_dump() | changes)
    return manifest.model_copy(update={"image": image})


def error_on_loading(exported: Exported, manifest: Manifest) -> str | None:
    """Of the graphs as they are, taken for exported from this manifest."""
    for modality in manifest.modalities:
        path = exported.repository.tower(manifest.name, modality).record
        path.write_text(json.dumps(json.loads(path.read_text()) | {"fingerprint": manifest.fingerprint}))
    [status] = load_encoders(exported.settings, [manifest])
    return status.error


def test_the_right_manifest_is_ready(exported: Exported) -> None:
    assert error_on_loading(exported, exported.manifest) is None


@pytest.mark.parametrize("field", WRONG_IN_THE_SERVER)
def test_a_field_that_the_server_reads(field: str, exported: Exported) -> None:
    manifest = with_image(exported.manifest, WRONG_IN_THE_SERVER[field])
    assert manifest.fingerprint != exported.manifest.fingerprint
    error = error_on_loading(exported, manifest)
    assert error
    assert re.match(r"the image tower of clip differs from the reference: cosine -?0\.", error)


def test_a_context_length(exported: Exported) -> None:
    text = TextTower(context_length_tokens=64, pooling="model")
    error = error_on_loading(exported, exported.manifest.model_copy(update={"text": text}))
    assert error
    assert re.match(r"the text tower of clip differs from the reference: cosine -?0\.", error)


@pytest.mark.parametrize("field", WRONG_IN_THE_GRAPH)
def test_a_field_that_is_folded_into_the_graph(field: str, exported: Exported, tmp_path: Path) -> None:
    manifest = with_image(exported.manifest, {field: WRONG_IN_THE_GRAPH[field]})
    with pytest.raises(
        ParityFailed, match=r"clip, image tower: .* has cosine -?0\..*; the manifest's floor is 0\.9999"
    ):
        export_encoder(manifest, ModelRepository(tmp_path / "models"), tmp_path / "sources", Silent())
    assert not ModelRepository(tmp_path / "models").tower("clip", Modality.IMAGE).folder.exists()
