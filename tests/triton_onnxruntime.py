"""Triton's ONNX Runtime backend as a Python-based backend, for a tritonserver that comes without it.

Runs in a Python of Triton's own, which ignores PYTHONPATH: `TRITON_PACKAGES` is where it finds its packages. In the
folder `TRITON_GATE`, a batch makes `reached` before it waits for `closed` to go, and `runs` gets each request's rows.
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, os.environ["TRITON_PACKAGES"])

import onnxruntime
import triton_python_backend_utils as triton  # ships with Triton

LOOK_SECONDS = 0.01


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        return config

    def initialize(self, args):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        model = Path(args["model_repository"], args["model_version"], "model.onnx")
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.gate = Path(os.environ["TRITON_GATE"])

    def execute(self, requests):
        (self.gate / "reached").touch()
        while (self.gate / "closed").exists():
            time.sleep(LOOK_SECONDS)
        return [self.response(request) for request in requests]

    def response(self, request):
        tensors = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
        with (self.gate / "runs").open("a") as runs:
            runs.write(f"{len(next(iter(tensors.values())))}\n")
        try:
            outputs = self.session.run(request.requested_output_names(), tensors)
        except Exception as error:  # noqa: BLE001  as the real backend answers what it cannot run
            return triton.InferenceResponse(error=triton.TritonError(f"onnx runtime error: {error}"))
        named = zip(request.requested_output_names(), outputs, strict=True)
        return triton.InferenceResponse([triton.Tensor(name, output) for name, output in named])
