"""What was measured is used where it was measured, and nowhere else."""

import json
import logging
import threading
from dataclasses import replace

import pytest

from simila.domain.manifest import Modality
from simila.domain.model_repository import ModelRepository, TowerFiles
from simila.engine.cores import usable_cores
from simila.engine.tuning import Tuning, default_tuning, keep_tuning, overridden, preprocess_threads_for, tuning_for

MEASURED = Tuning(4, 2, 2, max_batch_items=64, max_batch_tokens=512, rows_per_second=123.4)


@pytest.fixture
def files(tmp_path):
    """An exported tower of which only the record exists."""
    return exported(TowerFiles(tmp_path / "tiny.text"), "a" * 64)


def exported(files, onnx_sha256):
    files.folder.mkdir(exist_ok=True)
    record = {"fingerprint": "f", "precision": "fp32", "onnx_sha256": onnx_sha256, "versions": {}}
    files.record.write_text(json.dumps(record))
    return files


def test_what_is_kept_is_found(files):
    keep_tuning(files, MEASURED)
    assert tuning_for(files, Modality.TEXT, cores=4) == MEASURED


def test_defaults_are_a_thread_a_core_and_small_batches():
    assert default_tuning(Modality.TEXT, 6) == Tuning(6, 6, 1, max_batch_items=32, max_batch_tokens=256)
    assert default_tuning(Modality.IMAGE, 6) == Tuning(6, 6, 1, max_batch_items=8, max_batch_tokens=8)


def test_another_number_of_cores_takes_the_default(files, caplog):
    keep_tuning(files, MEASURED)
    with caplog.at_level(logging.INFO, logger="simila.engine"):
        assert tuning_for(files, Modality.TEXT, cores=8) == default_tuning(Modality.TEXT, 8)
    assert caplog.messages == ["tiny.text was tuned on 4 cores, not on 8: defaults are used; run: simila models tune"]


def test_another_graph_takes_the_default(files, caplog):
    keep_tuning(files, MEASURED)
    exported(files, "b" * 64)
    with caplog.at_level(logging.INFO, logger="simila.engine"):
        assert tuning_for(files, Modality.IMAGE, cores=4) == default_tuning(Modality.IMAGE, 4)
    assert caplog.messages == ["tiny.text was tuned with another graph: defaults are used; run: simila models tune"]


def test_what_was_never_tuned_takes_the_default_and_is_no_news(files, caplog):
    with caplog.at_level(logging.INFO, logger="simila.engine"):
        assert tuning_for(files, Modality.TEXT, cores=4) == default_tuning(Modality.TEXT, 4)
    assert caplog.messages == []


@pytest.mark.parametrize("content", ["{", "{}"])
def test_a_damaged_tuning_takes_the_default(files, caplog, content):
    files.tuning.write_text(content)
    with caplog.at_level(logging.INFO, logger="simila.engine"):
        assert tuning_for(files, Modality.TEXT, cores=4) == default_tuning(Modality.TEXT, 4)
    (message,) = caplog.messages
    assert message.startswith("tiny.text has a tuning that cannot be read (")


@pytest.mark.parametrize(
    ("setting", "field"),
    [
        ("workers", "worker_threads"),
        ("threads", "threads_per_run"),
        ("max_batch_items", "max_batch_items"),
        ("max_batch_tokens", "max_batch_tokens"),
    ],
)
def test_a_setting_has_the_last_word_and_0_leaves_what_was_measured(setting, field):
    nothing_set = {"workers": 0, "threads": 0, "max_batch_items": 0, "max_batch_tokens": 0}
    assert overridden(MEASURED, **nothing_set) == MEASURED
    assert overridden(MEASURED, **{**nothing_set, setting: 7}) == replace(MEASURED, **{field: 7})


@pytest.mark.parametrize(("workers", "expected"), [(0, 3), (2, 2)])
def test_an_encoder_runs_as_it_was_tuned_or_set(copied_tower, load, tmp_path, workers, expected):
    files = copied_tower("efficientnet-lite0", Modality.IMAGE)
    keep_tuning(files, replace(default_tuning(Modality.IMAGE, usable_cores()), worker_threads=3))
    before = set(threading.enumerate())
    load(ModelRepository(tmp_path / "models"), "efficientnet-lite0", workers=workers)
    started = [thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith("batcher-")]
    assert len(started) == expected


def test_the_pool_is_as_large_as_the_tower_wants_that_wants_most(tmp_path):
    image, text = exported(TowerFiles(tmp_path / "a"), "a" * 64), exported(TowerFiles(tmp_path / "b"), "b" * 64)
    keep_tuning(image, replace(MEASURED, preprocess_threads=3))
    keep_tuning(text, replace(MEASURED, preprocess_threads=1))
    assert preprocess_threads_for([image, text], cores=4) == 3
    assert preprocess_threads_for([text], cores=4) == 1


def test_a_tower_that_was_not_measured_gets_a_thread_a_core(tmp_path):
    measured, other = exported(TowerFiles(tmp_path / "a"), "a" * 64), exported(TowerFiles(tmp_path / "b"), "b" * 64)
    keep_tuning(measured, replace(MEASURED, preprocess_threads=1))
    assert preprocess_threads_for([measured, other], cores=4) == 4
    keep_tuning(other, MEASURED)  # by a version that did not measure it
    assert preprocess_threads_for([measured, other], cores=4) == 4
