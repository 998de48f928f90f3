import stat
from dataclasses import replace

import numpy as np
import pytest

from simila.domain.errors import ClassifierUnavailable, StorageFailed
from simila.storage import classifier_files
from simila.storage.classifier_files import RECORD_FILE, ClassifierFiles, ClassifierRecord

RECORD = ClassifierRecord(
    id="0a",
    name="shoes",
    method="ridge",
    encoder="e",
    fingerprint="f",
    dimension=2,
    created_at="2025-01-31T12:00:00+00:00",
    updated_at="2025-01-31T12:00:00+00:00",
    state="ready",
    labels=("a", "b"),
    options={"penalty": 0.1},
)
ARRAYS = {"weights": np.array([[1.5, 2.0], [3.0, np.pi]]), "counts": np.array([1, 2])}


@pytest.fixture
def files(tmp_path):
    return ClassifierFiles(tmp_path / "classifiers")


def folder(tmp_path):
    return tmp_path / "classifiers" / RECORD.id


def assert_holds(files, record, arrays):
    assert files.record(record.id) == record
    read = files.arrays(record)
    assert set(read) == set(arrays)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


def test_a_classifier_is_read_as_it_was_written(files, tmp_path):
    kept = files.write(RECORD, ARRAYS)
    again = ClassifierFiles(tmp_path / "classifiers")
    assert again.ids == (RECORD.id,)
    assert_holds(again, kept, ARRAYS)
    assert replace(kept, files={}) == RECORD
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder(tmp_path).iterdir()} == {0o600}


def test_a_change_leaves_nothing_of_what_was_before(files, tmp_path):
    files.write(RECORD, ARRAYS)
    changed = {"weights": ARRAYS["weights"] + 1}
    kept = files.write(replace(RECORD, updated_number=1), changed)
    assert_holds(files, kept, changed)
    assert len(list(folder(tmp_path).iterdir())) == 2


@pytest.mark.parametrize("name", ["weights", RECORD_FILE])
def test_a_change_that_the_disk_refuses_leaves_what_was_before(files, tmp_path, monkeypatch, name):
    kept = files.write(RECORD, ARRAYS)
    write = classifier_files.write_file

    def refuse(path, data):
        write(path, data[:10])
        if path.name.startswith(name):
            raise OSError(28, "No space left on device")
        write(path, data)

    monkeypatch.setattr(classifier_files, "write_file", refuse)
    with pytest.raises(StorageFailed, match="classifier 0a cannot be written: No space left on device"):
        files.write(replace(RECORD, updated_number=1), {"weights": ARRAYS["weights"] + 1})
    assert_holds(ClassifierFiles(tmp_path / "classifiers"), kept, ARRAYS)


def test_a_folder_that_was_never_whole_is_removed_at_the_start(tmp_path):
    half = tmp_path / "classifiers" / "half"
    half.mkdir(parents=True)
    (half / "weights-00.npy").write_bytes(b"x")
    assert ClassifierFiles(tmp_path / "classifiers").ids == ()
    assert not half.exists()


def test_an_array_that_a_crash_kept_is_removed_at_the_start(files, tmp_path, monkeypatch):
    files.write(RECORD, ARRAYS)
    with monkeypatch.context() as crash:
        crash.setattr(ClassifierFiles, "_remove_others", lambda *_: None)
        files.write(replace(RECORD, state="stale"), {})
    assert len(list(folder(tmp_path).iterdir())) == 3
    assert ClassifierFiles(tmp_path / "classifiers").record(RECORD.id).state == "stale"
    assert [path.name for path in folder(tmp_path).iterdir()] == [RECORD_FILE]


def test_a_deleted_classifier_is_gone(files, tmp_path):
    files.write(RECORD, ARRAYS)
    files.delete(RECORD.id)
    assert list((tmp_path / "classifiers").iterdir()) == []


@pytest.mark.parametrize("position", [0, 40, -1])
@pytest.mark.parametrize("pattern", [RECORD_FILE, "weights-*"])
def test_a_bit_that_flips_is_seen(files, tmp_path, pattern, position):
    kept = files.write(RECORD, ARRAYS)
    (path,) = folder(tmp_path).glob(pattern)
    content = bytearray(path.read_bytes())
    content[position] ^= 4
    path.write_bytes(content)
    with pytest.raises(ClassifierUnavailable, match="classifier 0a cannot be read"):
        files.record("0a") if pattern == RECORD_FILE else files.arrays(kept)


def test_an_array_that_is_missing_is_told(files, tmp_path):
    kept = files.write(RECORD, ARRAYS)
    next(folder(tmp_path).glob("weights-*")).unlink()
    with pytest.raises(ClassifierUnavailable, match="No such file"):
        files.arrays(kept)


def test_a_record_that_is_sound_json_and_not_what_was_written_is_refused(files, tmp_path):
    files.write(RECORD, ARRAYS)
    path = folder(tmp_path) / RECORD_FILE
    path.write_bytes(path.read_bytes().replace(b"shoes", b"shoer"))
    with pytest.raises(ClassifierUnavailable, match="its checksum is another"):
        files.record("0a")
