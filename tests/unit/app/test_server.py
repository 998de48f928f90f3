"""What the composition of a server changes in its process."""

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from simila.app import create_app
from simila.domain.errors import InvalidConfiguration
from simila.settings import Settings


def test_numpys_products_run_in_the_thread_that_asks(tmp_path):
    np.eye(2) @ np.eye(2)
    numpys = ThreadpoolController().select(threading_layer="pthreads")
    with numpys.limit(limits=2):
        create_app(Settings(data_dir=tmp_path, encoders=()))
        assert {library["num_threads"] for library in numpys.info()} == {1}


def test_all_that_the_settings_ask_for_in_vain_is_told_at_once(tmp_path):
    settings = Settings(data_dir=tmp_path, encoders=("nope", "neither"), device="cpu:9")
    with pytest.raises(InvalidConfiguration, match=r"'nope'.*; .*'neither'.*; device 'cpu:9'"):
        create_app(settings)


@pytest.mark.parametrize("place", ["all-minilm-l6-v3", "all-minilm-l6-v2.image", "all-minilm-l6-v2."])
def test_a_precision_of_what_is_no_encoder_and_no_tower_is_no_setting(tmp_path, place):
    settings = Settings(data_dir=tmp_path, encoders=(), precisions={place: "fp16"})
    with pytest.raises(InvalidConfiguration, match=f"precision for '{place}', .* \\(SIMILA_PRECISIONS\\)"):
        create_app(settings)


def test_a_precision_may_be_set_for_an_encoder_that_is_not_served_and_for_one_tower(tmp_path):
    create_app(Settings(data_dir=tmp_path, encoders=(), precisions={"simila-lite": "fp16", "simila-lite.text": "fp32"}))
