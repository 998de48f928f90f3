"""Every way to run a tower on a GPU gives the CPU's vectors, in batches of all shapes, also side by side."""

import asyncio
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from simila.backends import TowerGraph
from simila.backends.cuda import CudaRuntime
from simila.backends.device_choice import choose_devices
from simila.backends.least_loaded import LeastLoadedBackend
from simila.backends.onnx_runtime import OnnxRuntimeBackend
from simila.backends.tensorrt import TensorRtRuntime, build_engines
from simila.backends.torch_program import TorchRuntime
from simila.domain.manifest import Modality
from simila.domain.model_repository import ModelRepository
from simila.engine.encoder_starter import EngineOptions
from simila.engine.model_pool import LoadState, ModelPool
from simila_models.catalogue import bundled_manifests
from simila_models.export import export_torch_programs
from simila_models.progress import Silent
from tolerances import PARITY_COSINE

TOWERS = {"all-minilm-l6-v2": Modality.TEXT, "efficientnet-lite0": Modality.IMAGE}
SHAPES = [(1, 5), (3, 40), (3, 40), (32, 16), (33, 17), (70, 256), (1, 5)]


@pytest.fixture(params=TOWERS)
def graph(request, tmp_path, exported_repository):
    """A tower whose folder is the test's own."""
    name, modality = request.param, TOWERS[request.param]
    files = ModelRepository(tmp_path / "models").tower(name, modality)
    shutil.copytree(exported_repository.tower(name, modality).folder, files.folder)
    return TowerGraph(bundled_manifests()[name], modality, files, files.onnx)


def batch(graph, rows, tokens):
    noise = np.random.default_rng(rows * 1000 + tokens)
    if graph.modality is Modality.IMAGE:
        return {"pixels": noise.integers(0, 256, (rows, 3, 224, 224), dtype=np.uint8)}
    lengths = noise.integers(1, tokens + 1, rows)
    lengths[0] = tokens
    mask = (np.arange(tokens) < lengths[:, None]).astype(np.int64)
    return {"input_ids": noise.integers(1000, 20_000, mask.shape) * mask, "attention_mask": mask}


def assert_as_on_the_cpu(graph, backend):
    reference = OnnxRuntimeBackend(graph.onnx, graph.output_name, 0)
    batches = [batch(graph, *shape) for shape in SHAPES]
    expected = [reference.run(one) for one in batches]
    with ThreadPoolExecutor(3) as pool:
        for found in (map(backend.run, batches), pool.map(backend.run, batches)):
            for mine, theirs in zip(found, expected, strict=True):
                assert np.einsum("nd,nd->n", mine, theirs).min() >= PARITY_COSINE


def test_cuda(cuda, graph):
    assert_as_on_the_cpu(graph, LeastLoadedBackend([CudaRuntime().start(graph, one, 1) for one in range(cuda)]))


@pytest.mark.usefixtures("cuda")
def test_towers_capture_and_load_beside_each_other(exported_repository):
    """What another thread does on a GPU would spoil a capture, if they were not kept apart."""

    def check(name):
        files = exported_repository.tower(name, TOWERS[name])
        graph = TowerGraph(bundled_manifests()[name], TOWERS[name], files, files.onnx)
        for _ in range(3):
            backend = CudaRuntime().start(graph, 0, 1)
            assert_as_on_the_cpu(graph, backend)
            backend.close()

    with ThreadPoolExecutor(len(TOWERS)) as pool:
        list(pool.map(check, TOWERS))


def test_tensorrt_runs_what_was_built_and_builds_nothing_itself(tensorrt, graph):
    runtime = TensorRtRuntime()
    assert runtime.objection(graph).startswith("no engine is built for device 0")
    folders = [build_engines(graph, number, lambda done, of: None) for number in range(tensorrt)]  # noqa: ARG005
    assert runtime.objection(graph) is None
    engines = {path: path.stat().st_mtime_ns for folder in folders for path in folder.rglob("*.engine")}
    assert engines
    assert_as_on_the_cpu(graph, LeastLoadedBackend([runtime.start(graph, one, 1) for one in range(tensorrt)]))
    found = {path: path.stat().st_mtime_ns for folder in folders for path in folder.rglob("*.engine")}
    assert found == engines


def test_torch(torch_cuda, graph, data_dir):
    repository = ModelRepository(graph.files.folder.parent)
    export_torch_programs(graph.manifest, repository, data_dir / "sources", Silent())
    assert_as_on_the_cpu(graph, TorchRuntime().start(graph, torch_cuda - 1, 1))


@pytest.mark.usefixtures("cuda")
def test_every_certificate_holds_on_gpus(exported_repository):
    devices = choose_devices("cuda", {"cuda": CudaRuntime()})
    pool = ModelPool(list(bundled_manifests().values()), exported_repository, EngineOptions(devices=devices))
    try:
        asyncio.run(pool.load())
        for status in pool.statuses():
            assert (status.state, status.error) == (LoadState.READY, None)
            assert all(device.startswith("cuda:0") for device in status.devices.values())
    finally:
        pool.close()
