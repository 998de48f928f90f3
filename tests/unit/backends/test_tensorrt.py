"""Engines: which shapes they are for, what they depend on, and when they count as built."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from simila.backends import TowerGraph, tensorrt
from simila.backends.cuda_driver import Gpu
from simila.backends.tensorrt import TensorRtBackend, TensorRtRuntime, build_engines
from simila.backends.tensorrt_engines import (
    EngineFolder,
    EngineKey,
    profiles_of,
    shape_options,
    tensorrt_options,
    written_profiles,
)
from simila.domain.errors import ModelError
from simila.domain.manifest import Modality
from simila.domain.model_repository import ModelRepository
from simila_models.catalogue import bundled_manifests
from tiny_encoders import TinyEncoder

MINILM, LITE0 = bundled_manifests()["all-minilm-l6-v2"], bundled_manifests()["efficientnet-lite0"]
TEXTS, [IMAGES] = profiles_of(MINILM, Modality.TEXT), profiles_of(LITE0, Modality.IMAGE)
KEY = EngineKey("NVIDIA H200", "9.0", "570.86.15", "10.13.3", "1.32.0", "0" * 64, written_profiles(TEXTS))
H200, L4 = Gpu("NVIDIA H200", "9.0", "570"), Gpu("NVIDIA L4", "8.9", "570")


def shapes(rows, tokens):
    return {"input_ids": (rows, tokens), "attention_mask": (rows, tokens)}


def test_each_range_of_lengths_has_a_profile_and_each_length_exactly_one():
    assert [(one.smallest["input_ids"], one.usual["input_ids"], one.largest["input_ids"]) for one in TEXTS] == [
        ((1, 1), (64, 32), (512, 32)),
        ((1, 33), (16, 128), (128, 128)),
        ((1, 129), (8, 256), (64, 256)),
    ]
    for tokens in range(1, 257):
        assert sum(one.takes(shapes(1, tokens)) for one in TEXTS) == 1
    assert not any(one.takes(shapes(1, 257)) for one in TEXTS)


def test_images_have_one_profile():
    assert shape_options(IMAGES) == {
        "trt_profile_min_shapes": "pixels:1x3x224x224",
        "trt_profile_opt_shapes": "pixels:16x3x224x224",
        "trt_profile_max_shapes": "pixels:64x3x224x224",
    }


def test_the_options_name_every_input_and_both_caches(tmp_path):
    assert tensorrt_options(1, TEXTS[0], tmp_path / "engines", tmp_path / "timings", half=True) == {
        "device_id": "1",
        "trt_fp16_enable": "1",
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(tmp_path / "engines"),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(tmp_path / "timings"),
        "trt_profile_min_shapes": "input_ids:1x1,attention_mask:1x1",
        "trt_profile_opt_shapes": "input_ids:64x32,attention_mask:64x32",
        "trt_profile_max_shapes": "input_ids:512x32,attention_mask:512x32",
    }


@pytest.mark.parametrize("field", [field.name for field in fields(EngineKey)])
def test_an_engine_is_another_where_anything_it_depends_on_is(field):
    other = replace(KEY, **{field: "another"})
    assert other.digest != KEY.digest
    of_the_model = field in ("onnx_sha256", "profiles")
    assert (other.machine_digest == KEY.machine_digest) is of_the_model, "timings are shared by all models"


@pytest.fixture
def graph(tmp_path):
    manifest = TinyEncoder("tiny", 1).export(tmp_path)
    files = ModelRepository(tmp_path / "models").tower("tiny", Modality.TEXT)
    return TowerGraph(manifest, Modality.TEXT, files, files.onnx)


def test_engines_count_when_all_of_them_are_whole(graph):
    folder = EngineFolder(graph.files, KEY)
    assert not folder.is_built
    engine = folder.path / "0" / "tiny.engine"
    engine.parent.mkdir(parents=True)
    engine.write_bytes(b"engine")
    assert not folder.is_built, "nobody has said that this is all"
    folder.keep_record()
    assert folder.is_built
    assert not EngineFolder(graph.files, replace(KEY, driver="another")).is_built
    engine.write_bytes(b"eng")
    assert not folder.is_built
    engine.unlink()
    assert not folder.is_built


class Session:
    """Gives each row its number of tokens."""

    def __init__(self):
        self.rows = []

    def run(self, names, tensors):
        assert names == ["embedding"]
        self.rows.append(len(tensors["input_ids"]))
        return [tensors["attention_mask"].sum(axis=1, keepdims=True).astype(np.float32)]


def test_a_batch_goes_to_its_profile_and_in_parts_where_it_is_too_large():
    sessions = [Session() for _ in TEXTS]
    backend = TensorRtBackend(list(zip(TEXTS, sessions, strict=True)), "embedding")
    lengths = np.arange(300) % 200 + 1
    mask = (np.arange(200) < lengths[:, None]).astype(np.int64)
    vectors = backend.run({"input_ids": mask, "attention_mask": mask})
    np.testing.assert_array_equal(vectors[:, 0], lengths)
    assert [one.rows for one in sessions] == [[], [], [64, 64, 64, 64, 44]]
    backend.run({"input_ids": mask[:3, :32], "attention_mask": mask[:3, :32]})
    assert sessions[0].rows == [3]
    with pytest.raises(ModelError, match="no TensorRT engine takes a batch of"):
        backend.run({"input_ids": np.ones((1, 300)), "attention_mask": np.ones((1, 300))})


@pytest.fixture
def builds(monkeypatch):
    """Two GPUs, and a TensorRT that leaves a file for each profile."""
    started = []

    def start(onnx, providers):
        (name, options), *others = providers
        assert name == "TensorrtExecutionProvider"
        assert others[0][0] == "CUDAExecutionProvider"
        assert onnx.name == "model.onnx"
        engine = Path(options["trt_engine_cache_path"]) / "tiny.engine"
        engine.parent.mkdir(parents=True, exist_ok=True)
        engine.write_bytes(b"engine")
        started.append(options["device_id"])
        return NoInputs()

    class NoInputs:
        def run(self, names, tensors):
            pass

        def get_inputs(self):
            return []

    monkeypatch.setattr(tensorrt, "find_gpus", lambda: [H200, L4])
    monkeypatch.setattr(tensorrt, "tensorrt_version", lambda: "10.13.3")
    monkeypatch.setattr(tensorrt, "start_session", start)
    return started


def test_a_tower_is_taken_when_every_gpu_has_its_engines_and_each_is_built_once(graph, builds):
    runtime = TensorRtRuntime()
    assert runtime.objection(graph) == "no engine is built for device 0 (NVIDIA H200); run: simila models build"
    with pytest.raises(ModelError, match=r"tiny\.text has no TensorRT engine for NVIDIA H200"):
        runtime.start(graph, 0, 1)
    assert builds == [], "a server builds nothing"
    steps = []
    build_engines(graph, 0, lambda done, of: steps.append((done, of)))
    assert steps == [(0, 2), (1, 2), (2, 2)]
    assert runtime.objection(graph) == "no engine is built for device 1 (NVIDIA L4); run: simila models build"
    build_engines(graph, 1, lambda done, of: None)  # noqa: ARG005
    assert runtime.objection(graph) is None
    assert builds == ["0", "0", "1", "1"]
    build_engines(graph, 0, lambda done, of: None)  # noqa: ARG005
    assert builds == ["0", "0", "1", "1"], "what is built is not built again"


@pytest.mark.usefixtures("builds")
def test_a_graph_of_which_tensorrt_takes_nothing_is_not_called_built(graph, monkeypatch):
    start = tensorrt.start_session

    def leave_nothing(onnx, providers):
        session = start(onnx, providers)
        (Path(providers[0][1]["trt_engine_cache_path"]) / "tiny.engine").unlink()
        return session

    monkeypatch.setattr(tensorrt, "start_session", leave_nothing)
    with pytest.raises(ModelError, match=r"TensorRT can compute nothing of tiny\.text; CUDA serves it"):
        build_engines(graph, 0, lambda done, of: None)  # noqa: ARG005
    assert TensorRtRuntime().objection(graph).startswith("no engine is built")


def test_images_of_sixteen_bits_are_left_to_cuda(graph, builds):
    image = LITE0.image.model_copy(update={"bits": 16})
    bands = replace(graph, manifest=LITE0.model_copy(update={"image": image}), modality=Modality.IMAGE)
    assert TensorRtRuntime().objection(bands) == "TensorRT has no unsigned integers of 16 bits"
    with pytest.raises(ModelError, match="has no unsigned integers of 16 bits; CUDA serves it"):
        build_engines(bands, 0, lambda done, of: None)  # noqa: ARG005
    assert builds == []
