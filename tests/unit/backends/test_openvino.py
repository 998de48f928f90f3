"""OpenVINO on a graph small enough to check by hand, and where `auto` may choose it."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from simila.backends import TowerGraph
from simila.backends.openvino import OpenVinoRuntime
from simila.domain.errors import ModelError
from simila.domain.manifest import Modality
from simila.domain.model_repository import TowerFiles
from tiny_manifests import manifest_of, source

SQUARE = 4096  # a row that is itself a matrix, so that runs last long enough to overlap


@pytest.fixture
def path(tmp_path):
    """A graph that gives twice its input, and its input under another name."""
    rows = helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", "values"])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "values"]) for name in ("same", "doubled")]
    nodes = [helper.make_node("Identity", ["rows"], ["same"]), helper.make_node("Add", ["rows", "rows"], ["doubled"])]
    model = helper.make_model(
        helper.make_graph(nodes, "double", [rows], outputs), opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    )
    onnx.save(model, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def graph_of(path, output_name="doubled", fastest=None):
    manifest = manifest_of(source("weights", b"weights", path="weights.bin"))
    image = manifest.image.model_copy(update={"output_name": output_name})
    manifest = manifest.model_copy(update={"image": image})
    return TowerGraph(manifest, Modality.IMAGE, TowerFiles(path.parent), path, fastest)


def backend_of(path, output_name):
    return OpenVinoRuntime().start(graph_of(path, output_name), 0, 1)


def batch_of(rows, first=0):
    """Small whole numbers, which bf16 holds exactly."""
    return (first + np.arange(rows * 2, dtype=np.float32) % 64).reshape(rows, 2)


@pytest.mark.parametrize("rows", [1, 5, 64])
def test_batches_of_any_size_run(path, rows):
    batch = batch_of(rows)
    np.testing.assert_array_equal(backend_of(path, "doubled").run({"rows": batch}), 2 * batch)


def test_the_output_is_found_by_its_name_and_outlives_the_next_run(path):
    backend = backend_of(path, "same")
    first = backend.run({"rows": batch_of(2)})
    backend.run({"rows": batch_of(2, first=100)})
    np.testing.assert_array_equal(first, batch_of(2))


def test_threads_that_run_together_get_their_own_rows(path):
    backend, together = backend_of(path, "doubled"), Barrier(8)

    def run(number):
        batch = np.full((16, SQUARE), number, dtype=np.float32)
        together.wait()
        return [np.unique(backend.run({"rows": batch})).tolist() for _ in range(10)]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(run, range(8))) == [[[2 * number]] * 10 for number in range(8)]


@pytest.mark.parametrize("content", [None, b"", b"no graph"])
def test_a_file_that_cannot_be_loaded_is_named(tmp_path, content):
    path = tmp_path / "broken.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError) as refused:
        backend_of(path, "doubled")
    assert refused.value.message.startswith(f"OpenVINO cannot load {path}: ")


def test_auto_takes_it_where_it_was_measured_to_be_fastest(path):
    def objection(fastest):
        return OpenVinoRuntime().objection(graph_of(path, fastest=fastest))

    assert objection("openvino") is None
    assert objection("cpu") == objection(None) == "it was not found faster on this machine by: simila models tune"
    assert OpenVinoRuntime().devices()[0].startswith("OpenVINO 20")


def test_nothing_is_told_to_anybody(tmp_path):
    """With its package of telemetry OpenVINO reports that it was imported, and keeps a number for this machine."""
    script = "from simila.backends.openvino import OpenVinoRuntime; print(*OpenVinoRuntime().devices())"
    environment = {"HOME": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("OpenVINO 20")
    assert list(tmp_path.rglob("*")) == []
