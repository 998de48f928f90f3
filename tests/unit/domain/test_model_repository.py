import json
import shutil

import pytest

from simila.domain.errors import NotExported
from simila.domain.manifest import Manifest, Modality
from simila.domain.model_repository import ModelRepository, export_command
from simila.domain.precision import Precision
from tiny_manifests import manifest_of, source

MANIFEST = manifest_of(source("weights", b"weights", path="weights.bin"))


@pytest.fixture
def repository(tmp_path):
    return ModelRepository(tmp_path)


def write_record(repository, content):
    files = repository.tower("tiny", Modality.IMAGE)
    files.folder.mkdir()
    files.record.write_bytes(content)
    return files


def record_of(fingerprint):
    record = {"fingerprint": fingerprint, "precision": "fp32", "onnx_sha256": "0" * 64, "versions": {"torch": "2.13.0"}}
    return json.dumps(record).encode()


def test_a_tower_lies_where_triton_looks(repository, tmp_path):
    files = repository.tower("tiny", Modality.TEXT)
    assert files.onnx == tmp_path / "tiny.text" / "1" / "model.onnx"
    assert files.config == tmp_path / "tiny.text" / "config.pbtxt"


def test_a_current_export_is_found(repository):
    files = write_record(repository, record_of(MANIFEST.fingerprint))
    assert repository.exported_tower(MANIFEST, Modality.IMAGE) == files
    assert repository.is_current(MANIFEST)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "encoder tiny is not exported to {root}; run: simila models export tiny"),
        (
            record_of("0" * 64),
            "encoder tiny was exported from another manifest or other weights; run: simila models export tiny",
        ),
        (
            b"{",
            "encoder tiny: {record} cannot be read (Invalid JSON: EOF while parsing an object at line 1 column 1); ",
        ),
        (b"{}", "encoder tiny: {record} cannot be read (Field required); "),
    ],
    ids=["missing", "stale", "torn", "incomplete"],
)
def test_an_export_that_is_not_current_names_the_remedy(repository, content, message):
    if content is not None:
        write_record(repository, content)
    with pytest.raises(NotExported) as refused:
        repository.exported_tower(MANIFEST, Modality.IMAGE)
    record = repository.tower("tiny", Modality.IMAGE).record
    assert refused.value.message.startswith(message.format(root=repository.root, record=record))
    assert refused.value.message.endswith("run: simila models export tiny")
    assert not repository.is_current(MANIFEST)


@pytest.mark.parametrize("damage", [lambda onnx: onnx.write_bytes(b"cut"), lambda onnx: onnx.unlink()])
def test_a_file_that_is_gone_or_cut_short_is_no_export(repository, damage):
    record = {**json.loads(record_of(MANIFEST.fingerprint)), "sizes_bytes": {"1/model.onnx": 5}}
    files = write_record(repository, json.dumps(record).encode())
    files.onnx.parent.mkdir(exist_ok=True)
    files.onnx.write_bytes(b"whole")
    assert repository.is_current(MANIFEST)
    damage(files.onnx)
    with pytest.raises(NotExported, match=r"1/model.onnx is gone or not what was exported; run: simila models export"):
        repository.exported_tower(MANIFEST, Modality.IMAGE)


def test_another_precision_is_a_model_of_its_own_beside_the_reference(repository, tmp_path):
    served = MANIFEST.served_in({"tiny": Precision.INT8_STATIC})
    write_record(repository, record_of(MANIFEST.fingerprint))
    with pytest.raises(NotExported, match="run: simila models export --precision int8-static tiny"):
        repository.exported_tower(served, Modality.IMAGE)
    shutil.copytree(tmp_path / "tiny.image", tmp_path / "tiny.image.int8-static")
    assert repository.exported_tower(served, Modality.IMAGE).folder == tmp_path / "tiny.image.int8-static"
    assert repository.exported_tower(MANIFEST, Modality.IMAGE).folder == tmp_path / "tiny.image"


def test_what_to_type_names_the_tower_where_there_are_two():
    text = {"context_length_tokens": 16, "pooling": "mean"}
    joint = Manifest.model_validate({**MANIFEST.model_dump(), "text": text})
    served = joint.served_in({"tiny.text": Precision.FP16})
    assert export_command(served, Modality.TEXT) == "simila models export --precision fp16 --tower text tiny"
    assert export_command(served, Modality.IMAGE, force=True) == "simila models export --force tiny"
