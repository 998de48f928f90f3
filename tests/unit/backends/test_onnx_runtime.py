"""ONNX Runtime on a graph small enough to check by hand."""

import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from simila.backends.onnx_runtime import OnnxRuntimeBackend
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


# In a process of its own: here other tests have sessions, between whose tensors the arena's room lies.
ARENA = """
import resource
import sys
from pathlib import Path

import numpy as np

from simila.backends.onnx_runtime import OnnxRuntimeBackend, shrink_arena

def resident_bytes():
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()

batch = np.ones((2**23, 2), dtype=np.float32)
backends = [OnnxRuntimeBackend(Path(sys.argv[1]), "doubled", 1) for _ in range(6)]
backends[0].run({"rows": batch[:1]})  # an arena never gives back its first piece
backends[0].run({"rows": batch})
one_has_run = resident_bytes()
for backend in backends[1:]:
    backend.run({"rows": batch})
all_have_run = resident_bytes()
shrink_arena()
print((all_have_run - one_has_run) / batch.nbytes, (all_have_run - resident_bytes()) / batch.nbytes)
np.testing.assert_array_equal(backends[0].run({"rows": batch[:3]}), 2 * batch[:3])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_sessions_share_their_memory_and_what_none_uses_goes_back_to_the_system(path):
    command = [sys.executable, "-c", ARENA, path]
    grown, given_back = map(float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    assert grown < 1.5
    assert given_back > 0.9
