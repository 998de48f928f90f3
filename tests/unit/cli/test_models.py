import hashlib
import json
import shutil
from functools import partial

import pytest

from simila import __main__ as main
from simila.cli import models
from simila.cli.model_trials import Trial, show_trials
from simila.domain.errors import FetchFailed
from simila.domain.manifest import Modality
from simila.domain.model_repository import ModelRepository
from simila.engine import calibration
from simila.engine.tuning import tuning_for
from simila_models.catalogue import find_manifest

WEIGHTS = b"weights"
TINY = f"""
name = "tiny"
description = "A manifest of the user's own"
family = "none"
licence = "MIT"
dimension = 3

[image]
size_pixels = 8
resize_shorter_edge_pixels = 8
interpolation = "bicubic"
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]
pooling = "average"

[[files]]
role = "weights"
source = "file:."
path = "tiny.bin"
sha256 = "{hashlib.sha256(WEIGHTS).hexdigest()}"
"""


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder with one encoder of the user's own, whose weights lie beside its manifest."""
    manifests = tmp_path / "data" / "manifests"
    manifests.mkdir(parents=True)
    (manifests / "tiny.toml").write_text(TINY)
    (manifests / "tiny.bin").write_bytes(WEIGHTS)
    monkeypatch.setenv("SIMILA_ENCODERS", '["tiny"]')
    return tmp_path / "data"


@pytest.fixture
def exported(monkeypatch):
    """The names of what was exported, by an exporter that only leaves the files which say so."""
    names = []

    def export_encoder(manifest, repository, cache_dir, progress, *, offline):
        progress.step(f"export {manifest.name}", 1, 1, unit="steps")
        assert not offline
        assert cache_dir == repository.root.parent / "sources"
        names.append(manifest.name)
        leave_export(manifest, repository)

    monkeypatch.setattr(models, "export_encoder", export_encoder)
    return names


def leave_export(manifest, repository, *, fingerprint=None):
    for modality in manifest.modalities:
        files = repository.tower(manifest.name, modality)
        files.onnx.parent.mkdir(parents=True, exist_ok=True)
        files.onnx.write_bytes(b"graph")
        record = {
            "fingerprint": fingerprint or manifest.reference.fingerprint,
            "precision": "fp32",
            "onnx_sha256": hashlib.sha256(b"graph").hexdigest(),
            "versions": {},
        }
        files.record.write_text(json.dumps(record))


@pytest.mark.usefixtures("exported")
def test_what_is_exported_is_its_users_alone(data, run):
    assert run("models", "export").exit_code == 0

    made = [data / "models", *(data / "models").rglob("*")]
    assert len(made) > 3
    assert [path for path in made if path.stat().st_mode & 0o077] == []


def tiny_row(run):
    (row,) = [row for row in json.loads(run("models", "list", "--json").stdout) if row["name"] == "tiny"]
    return row


@pytest.mark.usefixtures("data")
def test_list_shows_the_bundled_encoders_and_ones_own(run):
    lines = [line.split() for line in run("models", "list").stdout.splitlines()]

    assert lines[0] == ["name", "modalities", "dimension", "licence", "state", "size"]
    assert ["tiny", "image", "3", "MIT", "not", "exported"] in lines
    assert ["simila-lite", "image", "text", "384", "Apache-2.0", "not", "exported"] in lines


def test_list_tells_exported_from_stale(data, run):
    manifest, repository = find_manifest("tiny", [data / "manifests"]), ModelRepository(data / "models")

    leave_export(manifest, repository)
    current = tiny_row(run)
    leave_export(manifest, repository, fingerprint="0" * 64)

    size_bytes = sum(path.stat().st_size for path in (data / "models").rglob("*") if path.is_file())
    expected = {"name": "tiny", "modalities": ["image"], "dimension": 3, "licence": "MIT", "size_bytes": size_bytes}
    assert current == expected | {"state": "exported"}
    assert tiny_row(run)["state"] == "stale"


def test_export_skips_what_is_current(data, run, exported):
    first = run("models", "export")
    second = run("models", "export")

    assert (first.exit_code, first.stdout) == (0, f"exported to {data / 'models'}: tiny\n")
    assert (second.exit_code, second.stdout, second.stderr) == (0, "exported already: tiny\n", "")
    assert exported == ["tiny"]


def test_what_cannot_be_tuned_is_exported_all_the_same(data, run, exported):
    result = run("models", "export")

    assert (result.exit_code, exported) == (0, ["tiny"])
    assert "error: tiny is exported, but not tuned: ONNX Runtime cannot load" in result.stderr
    assert not ModelRepository(data / "models").tower("tiny", "image").tuning.exists()


@pytest.mark.usefixtures("data")
def test_force_exports_again(run, exported):
    run("models", "export")
    run("models", "export", "--force")

    assert exported == ["tiny", "tiny"]


@pytest.mark.usefixtures("data", "exported")
def test_a_forced_export_that_fails_leaves_the_old_one(run, monkeypatch):
    def fail(*_, **__):
        raise FetchFailed("no network")

    run("models", "export")
    monkeypatch.setattr(models, "export_encoder", fail)
    failed = run("models", "export", "--force")

    assert (failed.exit_code, failed.stderr.splitlines()[-1]) == (1, "error: no network")
    assert tiny_row(run)["state"] == "exported"


def test_pull_checks_the_weights_and_exports_nothing(data, run):
    whole = run("models", "pull", "tiny")
    (data / "manifests" / "tiny.bin").write_bytes(b"other")
    changed = run("models", "pull", "tiny")

    assert (whole.exit_code, whole.stdout) == (0, f"weights are in {data / 'sources'}: tiny\n")
    assert not (data / "models").exists()
    assert changed.exit_code == 1
    assert "error: " in changed.stderr
    assert "SHA-256" in changed.stderr


def test_verify_finds_a_changed_graph(data, run):
    manifest, repository = find_manifest("tiny", [data / "manifests"]), ModelRepository(data / "models")
    leave_export(manifest, repository)

    unreadable = run("models", "verify", "--json")
    repository.tower("tiny", "image").onnx.write_bytes(b"other graph")
    changed = run("models", "verify", "--json")

    (finding,) = json.loads(unreadable.stdout)
    assert unreadable.exit_code == 1
    assert "ONNX Runtime cannot load" in finding["error"]
    (finding,) = json.loads(changed.stdout)
    assert changed.exit_code == 1
    assert finding["name"] == "tiny"
    assert "simila models export tiny" in finding["error"]


def test_tune_shows_what_it_tried_and_keeps_the_best(run, exported_repository, monkeypatch, tmp_path):
    monkeypatch.setattr(calibration, "BUDGETS", {Modality.IMAGE: (1, 2)})
    monkeypatch.setattr(calibration, "FEWEST_ROWS", 2)
    monkeypatch.setattr(calibration, "calibrate", partial(calibration.calibrate, seconds=0.01))
    monkeypatch.setattr(main, "usable_cores", lambda: 2)
    name = "efficientnet-lite0"
    files = ModelRepository(tmp_path / "models").tower(name, Modality.IMAGE)
    shutil.copytree(exported_repository.tower(name, Modality.IMAGE).folder, files.folder)
    files.tuning.unlink(missing_ok=True)

    result = run("models", "tune", name, "--data-dir", tmp_path, "--json")

    trials = json.loads(result.stdout)
    (chosen,) = [trial for trial in trials if trial["chosen"]]
    layouts = {(trial["worker_threads"], trial["threads_per_run"]) for trial in trials}
    assert (result.exit_code, layouts) == (0, {(2, 1), (1, 2)})
    kept = tuning_for(files, Modality.IMAGE, cores=2)
    assert kept.rows_per_second == chosen["rows_per_second"]
    assert (kept.worker_threads, kept.max_batch_items) == (chosen["worker_threads"], chosen["batch"])
    assert f"tune {name}, image tower" in result.stderr


def test_trials_are_rows_of_a_table(capsys):
    show_trials(
        [
            Trial("tiny", "text", "openvino", 2, 1, 256, 303.04, chosen=True, preprocess_threads=4),
            Trial("tiny", "text", "cpu", 1, 2, 512, 250, chosen=False),
        ]
    )

    header, *rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert header == ["name", "tower", "runtime", "workers", "threads", "batch", "rows/s", "preprocess"]
    assert rows == [
        ["tiny", "text", "openvino", "2", "1", "256", "303.0", "4", "chosen"],
        ["tiny", "text", "cpu", "1", "2", "512", "250.0"],
    ]


@pytest.mark.parametrize("command", ["pull", "export", "tune", "verify"])
def test_an_unknown_encoder_is_one_line(run, command):
    result = run("models", command, "nobody")

    assert result.exit_code == 1
    assert result.stderr.startswith("error: no encoder is called 'nobody'")
    assert result.stderr.count("\n") == 1


@pytest.mark.usefixtures("exported")
def test_export_makes_a_precision_of_one_tower_and_says_how_it_fared(data, run, monkeypatch, tmp_path):
    asked = []

    def export_precisions(manifest, repository, _prepare, _progress, *, calibration, force):
        files = repository.tower("tiny", Modality.IMAGE, manifest.precision(Modality.IMAGE))
        shutil.copytree(repository.tower("tiny", Modality.IMAGE).folder, files.folder)
        asked.append((dict(manifest.precisions), calibration, force))
        return ["tiny, image tower in int8-static: lowest cosine 0.9950"]

    monkeypatch.setattr(models, "export_precisions", export_precisions)
    options = ("--precision", "int8-static", "--tower", "image", "--calibration", str(tmp_path), "--force-precision")
    first, second = run("models", "export", *options), run("models", "export", *options)

    report = "tiny, image tower in int8-static: lowest cosine 0.9950"
    assert first.stdout == f"{report}\nexported to {data / 'models'}: tiny\n"
    assert second.stdout == "exported already: tiny\n"
    assert asked == [({"image": "int8-static"}, tmp_path, True)]
    assert run("models", "export", "--precision", "fp16", "--tower", "text").exit_code != 0
