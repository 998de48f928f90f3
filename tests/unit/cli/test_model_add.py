"""`simila models add --precision`, on an encoder whose export costs nothing."""

import pytest

from simila.cli import model_add
from simila.domain.model_repository import ModelRepository
from simila.domain.precision import Precision
from simila_models.catalogue import find_manifest
from tiny_encoders import GOLDEN_TEXTS, TinyEncoder
from tiny_products import EVEN, UNEVEN, with_products

ADD = ("models", "add", "./tiny", "--precision", "int8-dynamic", "--calibration", "texts.tsv")


@pytest.fixture
def added(monkeypatch, tmp_path):
    """Makes `add` find an encoder whose activations are as uneven as given; returns what its manifest says then."""
    (tmp_path / "texts.tsv").write_text("\n".join(f"{text.split()[0]}\t{text}" for text in GOLDEN_TEXTS * 10))

    def make(scales):
        manifest = TinyEncoder("tiny", seed=3).export(tmp_path / "data")
        with_products(scales, ModelRepository(tmp_path / "data" / "models"), manifest)
        monkeypatch.setattr(model_add, "add_encoder", lambda *_: manifest)
        return lambda: find_manifest("tiny", [tmp_path / "data" / "manifests"])

    return make


def test_an_encoder_is_served_in_the_precision_that_it_was_added_in(run, added):
    kept = added(EVEN)
    result = run(*ADD)
    assert result.exit_code == 0, result.output
    report, ready = result.stdout.splitlines()
    assert report.startswith("tiny, text tower in int8-dynamic: lowest cosine 0.99")
    assert ready.startswith("tiny is ready; lowest cosine to the reference: text 0.99")
    assert kept().precisions == {"text": Precision.INT8_DYNAMIC}


def test_below_its_floor_it_is_added_in_fp32_and_the_figures_are_told_unless_forced(run, added, monkeypatch):
    monkeypatch.setattr("simila_models.export.precision.tower.smoothed", lambda model, _rows: model)
    monkeypatch.setattr("simila_models.export.precision.tower.LARGEST_SHARE_IN_FLOAT", 0)
    kept = added(UNEVEN)
    result = run(*ADD)
    assert result.exit_code == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: tiny is added, but in fp32: tiny, text tower in int8-dynamic: lowest cosine 0.")
    assert " of others (floor 0.99); nearest mean agrees on " in last
    assert last.endswith(
        "to serve it all the same: simila models export --precision int8-dynamic tiny --force-precision"
    )
    assert kept().precisions == {}
    forced = run(*ADD, "--force-precision")
    assert forced.exit_code == 0, forced.output
    assert kept().precisions == {"text": Precision.INT8_DYNAMIC}


def test_a_tower_that_it_has_not_is_refused(run, added):
    added(EVEN)
    result = run(*ADD, "--tower", "image")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (1, "error: --tower image: tiny has no image tower")
