"""ONNX Runtime on a graph small enough to check by hand."""

import resource
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from simila.backends.onnx_runtime import OnnxRuntimeBackend, shrink_arena
from simila.domain.errors import ModelError


@pytest.fixture
def path(tmp_path):
    """A graph that gives twice its input, and its input under another name."""
    rows = helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", 2])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in ("same", "doubled")]
    nodes = [helper.make_node("Identity", ["rows"], ["same"]), helper.make_node("Add", ["rows", "rows"], ["doubled"])]
    model = helper.make_model(
        helper.make_graph(nodes, "double", [rows], outputs), opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    )
    onnx.save(model, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


@pytest.mark.parametrize("rows", [1, 5, 64])
def test_batches_of_any_size_run(path, rows):
    batch = np.arange(rows * 2, dtype=np.float32).reshape(rows, 2)
    np.testing.assert_array_equal(OnnxRuntimeBackend(path, "doubled", 1).run({"rows": batch}), 2 * batch)


def test_the_output_is_found_by_its_name(path):
    batch = np.ones((1, 2), dtype=np.float32)
    assert OnnxRuntimeBackend(path, "same", 1).run({"rows": batch}).tolist() == [[1, 1]]


@pytest.mark.parametrize("content", [None, b"", b"no graph"])
def test_a_file_that_cannot_be_loaded_is_named(tmp_path, content):
    path = tmp_path / "broken.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError) as refused:
        OnnxRuntimeBackend(path, "doubled", 1)
    assert refused.value.message.startswith(f"ONNX Runtime cannot load {path}: ")


def resident_bytes():
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_sessions_use_the_memory_that_another_has_finished_with(path):
    batch = np.ones((2**23, 2), dtype=np.float32)
    backends = [OnnxRuntimeBackend(path, "doubled", 1) for _ in range(6)]
    backends[0].run({"rows": batch})
    before = resident_bytes()
    for backend in backends[1:]:
        backend.run({"rows": batch})
    assert resident_bytes() - before < 1.5 * batch.nbytes


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_what_no_session_uses_goes_back_to_the_system(path):
    batch = np.ones((2**23, 2), dtype=np.float32)
    backend = OnnxRuntimeBackend(path, "doubled", 1)
    backend.run({"rows": batch})
    before = resident_bytes()
    shrink_arena()
    assert before - resident_bytes() > 0.9 * batch.nbytes
    np.testing.assert_array_equal(backend.run({"rows": batch[:3]}), 2 * batch[:3])
