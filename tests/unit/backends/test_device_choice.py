"""What the setting `device` comes to, on machines with and without devices."""

import logging
from dataclasses import dataclass, field

import pytest

from simila.backends import TowerGraph
from simila.backends.device_choice import choose_devices
from simila.domain.errors import DeviceUnavailable
from simila.domain.manifest import Modality
from simila.domain.model_repository import ModelRepository
from tiny_encoders import TinyEncoder


@dataclass
class Runtime:
    labels: list[str] = field(default_factory=list)
    missing: str = ""
    objects: str | None = None
    uses_host_cores: bool = False

    def devices(self):
        if self.missing:
            raise DeviceUnavailable(self.missing)
        return self.labels

    def objection(self, graph):  # noqa: ARG002
        return self.objects


CPU = Runtime(["ONNX Runtime 1"], uses_host_cores=True)
GPUS = ["NVIDIA A", "NVIDIA B"]
NO_GPU = "this machine has no NVIDIA driver"
FOUND = f"cpu (ONNX Runtime 1) (no tensorrt, no cuda: {NO_GPU})"
ALONE = {"tensorrt": Runtime(missing=NO_GPU), "cuda": Runtime(missing=NO_GPU), "cpu": CPU}


def machine(*, built):
    return {"tensorrt": Runtime(GPUS, objects=None if built else "not built"), "cuda": Runtime(GPUS), "cpu": CPU}


@pytest.fixture
def graph(tmp_path):
    encoder = TinyEncoder("tiny", 1)
    manifest = encoder.export(tmp_path)
    files = ModelRepository(tmp_path / "models").tower("tiny", Modality.TEXT)
    return TowerGraph(manifest, Modality.TEXT, files, files.onnx)


def test_auto_says_in_one_line_what_it_takes_and_why_not_another(graph):
    devices = choose_devices("auto", ALONE)
    assert devices.for_tower(graph).word == "cpu"
    assert str(devices) == FOUND == "cpu (ONNX Runtime 1) (no tensorrt, no cuda: this machine has no NVIDIA driver)"


@pytest.mark.parametrize(("built", "word"), [(True, "tensorrt"), (False, "cuda")])
@pytest.mark.parametrize("setting", ["auto", "tensorrt"])
def test_a_tower_without_engines_is_left_to_cuda(setting, built, word, graph, caplog):
    caplog.set_level(logging.WARNING, logger="simila.backends")
    choice = choose_devices(setting, machine(built=built)).for_tower(graph)
    assert choice.word == word
    assert choice.labels == {0: "NVIDIA A", 1: "NVIDIA B"}
    told = not built and setting != "auto"
    assert caplog.messages == (["tiny.text is not run by tensorrt: not built"] if told else [])


def test_one_gpu_of_several_can_be_asked_for(graph):
    assert str(choose_devices("cuda:1", machine(built=False)).for_tower(graph)) == "cuda:1 (NVIDIA B)"
    assert str(choose_devices("tensorrt:1", machine(built=False)).for_tower(graph)) == "cuda:1 (NVIDIA B)"
    assert str(choose_devices("cuda", machine(built=False)).for_tower(graph)) == "cuda:0 (NVIDIA A), cuda:1 (NVIDIA B)"


@pytest.mark.parametrize(
    ("setting", "runtimes", "message"),
    [
        (
            "cuda",
            ALONE,
            f"device 'cuda' is not there: {NO_GPU}; found: {FOUND}",
        ),
        (
            "cuda:2",
            machine(built=True),
            "device 'cuda:2' is not there; found: cuda:0 (NVIDIA A), cuda:1 (NVIDIA B)",
        ),
        (
            "gpu",
            ALONE,
            "device 'gpu' is none of auto, tensorrt, cuda, cpu, each with :NUMBER or without (SIMILA_DEVICE)",
        ),
        (
            "cuda:x",
            ALONE,
            "device 'cuda:x' is none of auto, tensorrt, cuda, cpu, each with :NUMBER or without (SIMILA_DEVICE)",
        ),
    ],
)
def test_what_is_not_there_is_refused_with_what_was_found(setting, runtimes, message):
    with pytest.raises(DeviceUnavailable) as refused:
        choose_devices(setting, runtimes)
    assert refused.value.message == message
