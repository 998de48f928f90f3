"""An encoder whose settings ask for another precision."""

from pathlib import Path

import httpx
import numpy as np

from api.conftest import serving
from api.wire import embed, vectors
from simila.domain.model_repository import ModelRepository
from simila.domain.precision import Precision
from simila.engine.prepared_rows import prepared_rows
from simila.settings import Settings
from simila_models.export import export_precisions
from simila_models.progress import Silent
from tiny_encoders import WORDS, TinyEncoder


def test_it_is_served_and_shown(tmp_path: Path) -> None:
    encoder = TinyEncoder("tiny", seed=3)
    manifest = encoder.export(tmp_path)
    served = manifest.served_in({"tiny": Precision.FP16})
    texts = tmp_path / "texts.tsv"
    texts.write_text("\n".join(f"{first}\t{first} {second}" for first in WORDS[:6] for second in WORDS[:6]))
    export_precisions(served, ModelRepository(tmp_path / "models"), prepared_rows, Silent(), calibration=texts)
    settings = Settings(data_dir=tmp_path, encoders=("tiny",), precisions={"tiny": Precision.FP16})
    with serving(settings) as url, httpx.Client(base_url=url) as api:
        (entry,) = api.get("/v1/models").json()["data"]
        (vector,) = vectors(embed(api, "tiny", "red house"))
    assert entry["precisions"] == {"text": "fp16"}
    assert entry["certificates"]["text"]["floor"] == Precision.FP16.parity_floor
    assert entry["fingerprint"] == manifest.fingerprint
    assert vector @ encoder.vector("red house") > 0.999
    assert not np.array_equal(vector, encoder.vector("red house"))
