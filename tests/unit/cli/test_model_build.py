"""`simila models build` goes through GPUs, encoders and towers, and says where there is nothing to build for."""

import shutil

import pytest

from simila.backends import tensorrt
from simila.domain.errors import DeviceUnavailable
from simila.domain.model_repository import ModelRepository
from simila.domain.precision import Precision
from tiny_encoders import TinyEncoder


@pytest.fixture
def gpus(monkeypatch):
    """What is built on a machine of two GPUs: device numbers and towers."""
    built = []

    def build(graph, device_number, on_step):
        on_step(0, 1)
        built.append((device_number, graph.files.folder.name))
        on_step(1, 1)

    monkeypatch.setattr(tensorrt.TensorRtRuntime, "devices", lambda self: ["NVIDIA A", "NVIDIA B"])  # noqa: ARG005
    monkeypatch.setattr(tensorrt, "build_engines", build)
    return built


def test_every_tower_is_built_for_every_gpu(run, gpus, tmp_path):
    for name in ("one", "two"):
        TinyEncoder(name, 1).export(tmp_path / "data")
    result = run("models", "build", "one", "two")
    assert result.exit_code == 0, result.output
    assert gpus == [(0, "one.text"), (1, "one.text"), (0, "two.text"), (1, "two.text")]
    assert result.stdout == (
        "built for tensorrt: one, two; a server that runs takes it by: simila models load ENCODER\n"
    )


def test_engines_are_built_of_the_precision_that_is_served(run, gpus, tmp_path, monkeypatch):
    manifest = TinyEncoder("one", 1).export(tmp_path / "data")
    repository = ModelRepository(tmp_path / "data" / "models")
    shutil.copytree(
        *(repository.tower("one", *manifest.modalities, one).folder for one in (Precision.FP32, Precision.FP16))
    )
    monkeypatch.setenv("SIMILA_PRECISIONS", '{"one": "fp16"}')
    result = run("models", "build", "one")
    assert result.exit_code == 0, result.output
    assert gpus == [(0, "one.text.fp16"), (1, "one.text.fp16")]


def test_without_a_gpu_it_says_so(run, monkeypatch, tmp_path):
    def missing(self):  # noqa: ARG001
        raise DeviceUnavailable("this machine has no NVIDIA driver (libcuda.so.1)")

    TinyEncoder("one", 1).export(tmp_path / "data")
    monkeypatch.setattr(tensorrt.TensorRtRuntime, "devices", missing)
    result = run("models", "build", "one")
    assert (result.exit_code, result.stderr) == (1, "error: this machine has no NVIDIA driver (libcuda.so.1)\n")


def test_what_is_not_exported_is_named(run, gpus, tmp_path):
    TinyEncoder("one", 1).export(tmp_path / "data")
    (tmp_path / "data" / "models" / "one.text" / "export.json").unlink()
    result = run("models", "build", "one")
    assert result.exit_code == 1
    assert "run: simila models export one" in result.stderr
    assert gpus == []
