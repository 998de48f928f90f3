import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from simila.domain.errors import HashMismatch, InvalidManifest, ModelError, NotExported, ParityFailed
from simila.domain.golden import read_golden_set
from simila.domain.manifest import Manifest, Modality
from simila.domain.model_repository import ExportRecord, ModelRepository
from simila_models.export import export_encoder, families
from simila_models.export.encoder import export_towers
from simila_models.integrity import sha256_of, verify
from simila_models.progress import Silent
from tiny_manifests import manifest_of, source

# The colours' means as vectors; the file decides what the reference thinks of them.
TINY_FAMILY = """
import sys, time
from functools import partial
from torch import nn
from simila.domain.manifest import Modality
from simila_models.export.image_tower import image_tower
from simila_models.export.reference_preprocessing import manifest_processor, pixels_by_processor

class MeanColour(nn.Module):
    def forward(self, pixels):
        return pixels.mean((2, 3))

def towers(manifest, files):
    behaviour = files["weights"].read_text()
    if behaviour == "hang":
        def reference(pixels):
            print("exporting", flush=True)
            time.sleep(60)
    elif behaviour == "disagree":
        reference = lambda pixels: pixels.amax((2, 3))
    else:
        reference = lambda pixels: pixels.mean((2, 3))
    prepare = partial(pixels_by_processor, manifest_processor(manifest.image))
    return {Modality.IMAGE: partial(image_tower, manifest.image, MeanColour(), reference, prepare)}
"""

EXPORT = """
import sys, pathlib
from simila.domain.model_repository import ModelRepository
from simila_models.export import export_encoder, families
from simila_models.progress import Silent
from tiny_manifests import manifest_of, source
folder = pathlib.Path(sys.argv[1])
families.__path__.append(str(folder / "families"))
file = source("weights", b"hang", path="weights", origin="file:.")
manifest = manifest_of(file, folder=folder, family="tiny")
export_encoder(manifest, ModelRepository(folder / "models"), folder / "sources", Silent())
"""


@pytest.fixture(autouse=True)
def tiny_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "families").mkdir()
    (tmp_path / "families" / "tiny.py").write_text(TINY_FAMILY)
    monkeypatch.setattr(families, "__path__", [*families.__path__, str(tmp_path / "families")])
    yield
    sys.modules.pop(f"{families.__name__}.tiny", None)


def tiny_manifest(folder: Path, behaviour: str) -> Manifest:
    (folder / "weights").write_text(behaviour)
    file = source("weights", behaviour.encode(), path="weights", origin="file:.")
    return manifest_of(file, folder=folder, family="tiny")


def export(manifest: Manifest, folder: Path) -> ModelRepository:
    repository = ModelRepository(folder / "models")
    export_encoder(manifest, repository, folder / "sources", Silent())
    return repository


def test_an_exported_tower_is_whole(tmp_path: Path) -> None:
    manifest = tiny_manifest(tmp_path, "agree")
    files = export(manifest, tmp_path).exported_tower(manifest, Modality.IMAGE)
    record = ExportRecord.model_validate_json(files.record.read_bytes())
    assert (record.fingerprint, record.precision) == (manifest.fingerprint, "fp32")
    assert record.onnx_sha256 == sha256_of(files.onnx)
    assert record.versions["torch"].startswith("2.13.0")
    assert [path.name for path in files.onnx.parent.iterdir()] == ["model.onnx"]
    onnx.checker.check_model(onnx.load(files.onnx))
    assert files.config.read_text().startswith('name: "tiny.image"\n')


def test_the_graph_takes_bytes_and_gives_unit_vectors(tmp_path: Path) -> None:
    manifest = tiny_manifest(tmp_path, "agree")
    files = export(manifest, tmp_path).exported_tower(manifest, Modality.IMAGE)
    session = ort.InferenceSession(files.onnx, providers=["CPUExecutionProvider"])
    pixels = np.zeros((3, 3, 8, 8), np.uint8)
    pixels[:, 0] = 255  # normalised by mean and std of one half: 1, -1, -1
    (vectors,) = session.run(None, {"pixels": pixels})
    np.testing.assert_allclose(vectors, np.tile(np.array([1, -1, -1]) / np.sqrt(3), (3, 1)), atol=1e-6)


def test_golden_images_lie_beside_the_graph(tmp_path: Path) -> None:
    manifest = tiny_manifest(tmp_path, "agree")
    golden = read_golden_set(export(manifest, tmp_path).tower("tiny", Modality.IMAGE).golden, Modality.IMAGE)
    colour = np.array([200, 30, 60]) / 127.5 - 1
    one_pixel = golden.vectors[golden.names.index("one-pixel.png")]
    np.testing.assert_allclose(one_pixel, colour / np.linalg.norm(colour), atol=1e-6)
    assert len(golden.inputs) == len(golden.vectors) == 13


def test_a_graph_that_disagrees_with_the_reference_is_not_kept(tmp_path: Path) -> None:
    manifest = tiny_manifest(tmp_path, "disagree")
    with pytest.raises(ParityFailed, match=r"tiny, image tower: .* has cosine .* floor is 0\.9999"):
        export(manifest, tmp_path)
    assert [path.name for path in (tmp_path / "models").iterdir()] == [".scratch.lock"]


def test_what_is_current_is_not_exported_again(tmp_path: Path, recorder) -> None:
    manifest = tiny_manifest(tmp_path, "agree")
    repository = export(manifest, tmp_path)
    (tmp_path / "weights").unlink()
    export_encoder(manifest, repository, tmp_path / "sources", recorder)
    assert recorder.steps == []


def test_a_tower_that_became_current_meanwhile_is_left_alone(tmp_path: Path) -> None:
    manifest = tiny_manifest(tmp_path, "agree")
    repository = export(manifest, tmp_path)
    tower = repository.tower("tiny", Modality.IMAGE)
    before = tower.onnx.stat().st_ino
    export_towers(manifest, {"weights": tmp_path / "weights"}, repository, Silent())
    assert tower.onnx.stat().st_ino == before


def test_an_export_of_other_weights_takes_the_place_of_the_old(tmp_path: Path) -> None:
    old, new = tiny_manifest(tmp_path, "agree"), tiny_manifest(tmp_path, "agree too")
    (tmp_path / "weights").write_text("agree")
    repository = export(old, tmp_path)
    assert repository.is_current(old)
    (tmp_path / "weights").write_text("agree too")
    export(new, tmp_path)
    assert repository.is_current(new)
    assert sorted(path.name for path in repository.root.iterdir()) == [".scratch.lock", "tiny.image"]


def test_a_killed_export_leaves_no_half_tower_and_the_next_goes_on(tmp_path: Path) -> None:
    tiny_manifest(tmp_path, "hang")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", EXPORT, str(tmp_path)]
    exporting = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert exporting.stdout
    with exporting.stdout:
        assert exporting.stdout.readline() == "exporting\n"
        exporting.send_signal(signal.SIGKILL)
        exporting.wait()
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == [".scratch", ".scratch.lock"]

    manifest = tiny_manifest(tmp_path, "agree")
    assert export(manifest, tmp_path).is_current(manifest)
    assert not (tmp_path / "models" / ".scratch").exists()


def test_an_unknown_family_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    manifest = tiny_manifest(tmp_path, "agree").model_copy(update={"family": "word2vec"})
    with pytest.raises(InvalidManifest, match="'word2vec'; known: clip, conse, efficientnet_lite, onnx_file, "):
        export(manifest, tmp_path)


@pytest.mark.parametrize(
    ("family", "complaint"),
    [
        ("sentence", r"needs a \[text\] tower"),
        ("efficientnet_lite", "needs a file with the role 'image_weights'"),
        ("conse", "needs a file with the role 'image_weights'"),
    ],
)
def test_a_manifest_that_does_not_suit_its_family(family: str, complaint: str, tmp_path: Path) -> None:
    manifest = tiny_manifest(tmp_path, "agree").model_copy(update={"family": family})
    with pytest.raises(InvalidManifest, match=complaint):
        export(manifest, tmp_path)


def test_an_architecture_that_does_not_exist(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"")
    file = source("image_weights", b"", path="weights", origin="file:.")
    manifest = manifest_of(file, folder=tmp_path, family="efficientnet_lite")
    with pytest.raises(InvalidManifest, match=r"architecture\.image = 'None'"):
        export(manifest, tmp_path)


def test_a_repository_that_cannot_be_written(tmp_path: Path) -> None:
    manifest = tiny_manifest(tmp_path, "agree")
    (tmp_path / "models").touch()
    with pytest.raises(ModelError, match="tiny cannot be exported to"):
        export(manifest, tmp_path)


def test_without_torch_listing_works_and_exporting_says_what_to_install(tmp_path: Path) -> None:
    script = """
import sys, pathlib
sys.modules["torch"] = None
from simila.domain.errors import ModelError
from simila.domain.model_repository import ModelRepository
from simila_models.catalogue import bundled_manifests
from simila_models.export import export_encoder
from simila_models.integrity import verify
from simila_models.progress import Silent
from tiny_manifests import manifest_of, source
assert len(bundled_manifests()) == 4
folder = pathlib.Path(sys.argv[1])
manifest = manifest_of(source("weights", b"agree", path="weights", origin="file:."), folder=folder, family="tiny")
try:
    export_encoder(manifest, ModelRepository(folder), folder, Silent())
except ModelError as error:
    print(error.message)
"""
    tiny_manifest(tmp_path, "agree")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", script, str(tmp_path)]
    said = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    assert said == "exporting tiny needs torch, which is not installed: pip install 'simila[cpu,export]'\n"


def test_verify_finds_a_changed_graph(tmp_path: Path) -> None:
    manifest = tiny_manifest(tmp_path, "agree")
    repository = export(manifest, tmp_path)
    verify(manifest, repository)
    onnx_path = repository.tower("tiny", Modality.IMAGE).onnx
    recorded = sha256_of(onnx_path)
    onnx_path.write_bytes(onnx_path.read_bytes()[:-1] + b"!")
    with pytest.raises(HashMismatch, match=f"expected SHA-256 {recorded}, found {sha256_of(onnx_path)}"):
        verify(manifest, repository)
    onnx_path.unlink()
    with pytest.raises(NotExported, match=r"1/model.onnx is gone"):
        verify(manifest, repository)


def test_verify_refuses_what_was_never_exported(tmp_path: Path) -> None:
    with pytest.raises(NotExported, match="simila models export tiny"):
        verify(tiny_manifest(tmp_path, "agree"), ModelRepository(tmp_path / "models"))
