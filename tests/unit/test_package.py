import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("package", ["simila", "simila_models"])
def test_onnx_runtime_tells_nobody_what_it_runs(tmp_path, package):
    """Left to itself it makes a number for this machine and a file of what it is about to send, when it is imported."""
    silent_anyway = {"CI", "ORT_DISABLE_TELEMETRY"}
    environment = {name: value for name, value in os.environ.items() if name not in silent_anyway}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", f"import {package}, onnxruntime"], env=environment, check=True)
    assert list(tmp_path.rglob("*")) == []
