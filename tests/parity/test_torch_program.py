"""torch's program, the reference on GPUs, against the graph that serves on the CPU."""

import shutil

import numpy as np
import pytest

from simila.backends import TowerGraph
from simila.backends.onnx_runtime import OnnxRuntimeBackend
from simila.backends.torch_backend import TorchBackend
from simila.domain.errors import ModelError
from simila.domain.manifest import Modality
from simila.domain.model_repository import ModelRepository
from simila_models.catalogue import bundled_manifests
from simila_models.export import export_torch_programs
from simila_models.progress import Silent
from tolerances import PARITY_COSINE

LITE0 = "efficientnet-lite0"


@pytest.fixture
def graph(tmp_path, exported_repository, data_dir):
    repository = ModelRepository(tmp_path)
    files = repository.tower(LITE0, Modality.IMAGE)
    shutil.copytree(exported_repository.tower(LITE0, Modality.IMAGE).folder, files.folder)
    manifest = bundled_manifests()[LITE0]
    export_torch_programs(manifest, repository, data_dir / "sources", Silent())
    return TowerGraph(manifest, Modality.IMAGE, files, files.onnx)


def test_torch_gives_the_graphs_vectors_whatever_the_batch(graph):
    torch_backend = TorchBackend(graph, "cpu", compiled=False)
    onnx_backend = OnnxRuntimeBackend(graph.onnx, graph.output_name, 1)
    pixels = np.random.default_rng(0).integers(0, 256, (35, 3, 224, 224), dtype=np.uint8)
    for rows in (1, 3, 35):
        found = torch_backend.run({"pixels": pixels[:rows]})
        expected = onnx_backend.run({"pixels": pixels[:rows]})
        assert found.shape == expected.shape
        assert np.einsum("nd,nd->n", found, expected).min() >= PARITY_COSINE
    graph.files.torch_program.write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"torch cannot load .*model\.pt2"):
        TorchBackend(graph, "cpu", compiled=False)
