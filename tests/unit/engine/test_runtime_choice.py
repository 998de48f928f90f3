"""`SIMILA_DEVICE=auto` follows what tuning has noted beside a tower."""

import asyncio
from dataclasses import replace

import pytest

from simila.backends import openvino
from simila.backends.device_choice import choose_devices
from simila.backends.onnx_runtime import CpuRuntime
from simila.backends.openvino import OpenVinoRuntime
from simila.backends.registry import host_rivals
from simila.domain.errors import DeviceUnavailable
from simila.domain.inputs import TextInput
from simila.domain.manifest import Modality
from simila.domain.model_repository import ModelRepository
from simila.engine.cores import usable_cores
from simila.engine.encoder_starter import EngineOptions
from simila.engine.model_pool import ModelPool
from simila.engine.tuning import default_tuning, keep_tuning
from tiny_encoders import TinyEncoder

RUNTIMES = {"cpu": CpuRuntime(), "openvino": OpenVinoRuntime()}
ENCODER = TinyEncoder("tiny", seed=3)


@pytest.mark.parametrize(
    ("setting", "noted", "runs_on"),
    [
        ("auto", "openvino", "openvino (OpenVINO"),
        ("auto", "cpu", "cpu (ONNX Runtime"),
        ("auto", None, "cpu (ONNX Runtime"),
        ("cpu", "openvino", "cpu (ONNX Runtime"),
        ("openvino", None, "openvino (OpenVINO"),
    ],
)
def test_a_tower_runs_on_what_was_fastest(setting, noted, runs_on, tmp_path):
    manifest = ENCODER.export(tmp_path)
    repository = ModelRepository(tmp_path / "models")
    tuning = replace(default_tuning(Modality.TEXT, usable_cores()), runtime=noted)
    keep_tuning(repository.tower("tiny", Modality.TEXT), tuning)
    pool = ModelPool([manifest], repository, EngineOptions(devices=choose_devices(setting, RUNTIMES)))

    async def served():
        await pool.load()
        return (await pool.get("tiny").embed([TextInput("red house")])).vectors[0]

    vector = asyncio.run(served())
    (status,) = pool.statuses()
    pool.close()
    assert status.devices[Modality.TEXT].startswith(runs_on)
    assert vector @ ENCODER.vector("red house") > manifest.parity_floor


def test_without_the_package_it_is_not_there(monkeypatch):
    assert set(host_rivals()) == {"openvino"}
    monkeypatch.setattr(openvino, "find_spec", lambda name: None)  # noqa: ARG005
    assert host_rivals() == {}
    assert [choice.word for choice in choose_devices("auto", RUNTIMES).choices] == ["cpu"]
    with pytest.raises(DeviceUnavailable, match=r"run: pip install 'simila\[openvino\]'; found: cpu"):
        choose_devices("openvino", RUNTIMES)
