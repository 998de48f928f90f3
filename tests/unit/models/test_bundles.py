import json
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from simila.domain.errors import HashMismatch, ModelError, NotExported
from simila.domain.manifest import Manifest, Modality, read_manifest
from simila.domain.model_repository import ModelRepository
from simila_models.additions import write_manifest
from simila_models.bundles import unpack_bundle, write_bundle
from simila_models.integrity import sha256_of
from tiny_manifests import manifest_of, source


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return read_manifest(write_manifest(manifest_of(source("weights", b"", path="weights")), tmp_path / "manifests"))


@pytest.fixture
def repository(tmp_path: Path, manifest: Manifest) -> ModelRepository:
    """One tower, as if it was exported."""
    repository = ModelRepository(tmp_path / "models")
    files = repository.tower("tiny", Modality.IMAGE)
    files.onnx.parent.mkdir(parents=True)
    files.onnx.write_bytes(b"graph")
    record = {"fingerprint": manifest.fingerprint, "precision": "fp32", "versions": {}}
    files.record.write_text(json.dumps(record | {"onnx_sha256": sha256_of(files.onnx)}))
    return repository


def test_what_is_unpacked_is_what_was_exported(manifest: Manifest, repository: ModelRepository, tmp_path: Path) -> None:
    write_bundle([manifest], repository, tmp_path / "models.tar")
    assert unpack_bundle(tmp_path / "models.tar", tmp_path / "there") == ["tiny"]
    unpacked = read_manifest(tmp_path / "there" / "manifests" / "tiny.toml")
    assert unpacked.fingerprint == manifest.fingerprint
    files = ModelRepository(tmp_path / "there" / "models").exported_tower(unpacked, Modality.IMAGE)
    assert files.onnx.read_bytes() == b"graph"


def test_what_was_changed_is_not_archived(manifest: Manifest, repository: ModelRepository, tmp_path: Path) -> None:
    repository.tower("tiny", Modality.IMAGE).onnx.write_bytes(b"other")
    with pytest.raises(HashMismatch):
        write_bundle([manifest], repository, tmp_path / "models.tar")
    assert not (tmp_path / "models.tar").exists()


def test_a_damaged_archive_changes_nothing(manifest: Manifest, repository: ModelRepository, tmp_path: Path) -> None:
    archive = tmp_path / "models.tar"
    write_bundle([manifest], repository, archive)
    archive.write_bytes(archive.read_bytes().replace(b"graph", b"grapf"))
    with pytest.raises(HashMismatch, match=r"tiny\.image/1/model\.onnx"):
        unpack_bundle(archive, tmp_path / "there")
    assert [path.name for path in (tmp_path / "there").iterdir()] == [".scratch.lock"]


def test_an_archive_that_climbs_out_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        member = tarfile.TarInfo("../evil")
        member.size = 4
        tar.addfile(member, BytesIO(b"evil"))
    with pytest.raises(ModelError, match="cannot be unpacked"):
        unpack_bundle(tmp_path / "evil.tar", tmp_path / "there")
    assert not (tmp_path / "evil").exists()


def test_what_is_not_exported_is_not_archived(manifest: Manifest, tmp_path: Path) -> None:
    with pytest.raises(NotExported, match="simila models export tiny"):
        write_bundle([manifest], ModelRepository(tmp_path / "models"), tmp_path / "models.tar")
