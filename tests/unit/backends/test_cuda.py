"""What is known of GPUs where there is none: the driver's answers, by a library that gives them, and the options."""

import ctypes

import numpy as np
import onnxruntime
import pytest

from simila.backends import TowerGraph, cuda
from simila.backends.bound_session import BoundSession
from simila.backends.cuda_driver import Gpu, find_gpus
from simila.backends.tensorrt import tensorrt_version
from simila.domain.errors import DeviceUnavailable
from simila.domain.manifest import Modality
from simila.domain.model_repository import ModelRepository
from tiny_encoders import TinyEncoder
from tolerances import FLOAT32_VALUES


class Driver:
    """libcuda, as far as it is asked."""

    def __init__(self, names, status=0):
        self._names = names
        self._status = status

    def cuInit(self, flags):  # noqa: N802
        assert flags == 0
        return self._status

    def cuDeviceGetCount(self, count):  # noqa: N802
        count._obj.value = len(self._names)

    def cuDeviceGet(self, device, number):  # noqa: N802
        device._obj.value = number

    def cuDeviceGetName(self, name, size, device):  # noqa: N802
        assert size == ctypes.sizeof(name)
        name.value = self._names[device.value].encode()

    def cuDeviceGetAttribute(self, value, attribute, device):  # noqa: N802
        value._obj.value = {75: 9, 76: device.value}[attribute]

    def cuDriverGetVersion(self, version):  # noqa: N802
        version._obj.value = 12_080


def missing():
    raise OSError("libcuda.so.1: cannot open shared object file")


def test_every_gpu_is_named_with_what_engines_depend_on(tmp_path, monkeypatch):
    version = tmp_path / "version"
    version.write_text("570.86.15\n", encoding="ascii")
    monkeypatch.setattr("simila.backends.cuda_driver.DRIVER_VERSION_FILE", version)
    driver = "570.86.15, CUDA 12.8"
    assert find_gpus(lambda: Driver(["NVIDIA H200", "NVIDIA L4"])) == [
        Gpu("NVIDIA H200", "9.0", driver),
        Gpu("NVIDIA L4", "9.1", driver),
    ]


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        (missing, r"this machine has no NVIDIA driver \(libcuda.so.1\)"),
        (lambda: Driver([], status=100), r"the NVIDIA driver has no GPU for this process \(cuInit: 100\)"),
        (lambda: Driver([]), r"the NVIDIA driver has no GPU for this process \(CUDA_VISIBLE_DEVICES hides it\?\)"),
    ],
)
def test_no_gpu_is_told_with_the_reason(load, reason):
    with pytest.raises(DeviceUnavailable, match=reason):
        find_gpus(load)


@pytest.mark.filterwarnings("ignore:Specified provider 'CUDAExecutionProvider' is not in available provider names")
def test_an_onnx_runtime_without_cuda_is_told_from_a_machine_without_gpu(monkeypatch):
    monkeypatch.setattr(cuda, "find_gpus", lambda: [Gpu("NVIDIA H200", "9.0", "570")])
    monkeypatch.setattr(cuda.onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(DeviceUnavailable, match=r"was built without CUDAExecutionProvider; install simila\[gpu\]"):
        cuda.CudaRuntime().devices()
    monkeypatch.setattr(cuda.onnxruntime, "get_available_providers", lambda: [cuda.PROVIDER])
    with pytest.raises(DeviceUnavailable, match="ONNX Runtime cannot use CUDAExecutionProvider, device 0: a library"):
        cuda.CudaRuntime().devices()
    monkeypatch.setattr(cuda, "start_session", lambda onnx, providers: None)  # noqa: ARG005
    assert cuda.CudaRuntime().devices() == ["NVIDIA H200"]


@pytest.mark.parametrize(("graphs", "flag"), [(True, "1"), (False, "0")])
def test_the_options_name_the_gpu_and_leave_no_search_to_requests(graphs, flag):
    assert cuda.cuda_options(3, graphs=graphs) == {
        "device_id": "3",
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "HEURISTIC",
        "enable_cuda_graph": flag,
    }


class Uncapturable(onnxruntime.InferenceSession):
    """Loads with CUDA graphs, and fails where it should capture one."""

    def run_with_iobinding(self, io, options):  # noqa: ARG002
        raise RuntimeError("CUDA failure 900: operation not permitted when stream is capturing")


def test_what_cannot_be_captured_is_known_at_the_start_and_runs_without_graphs(tmp_path, monkeypatch, caplog):
    manifest = TinyEncoder("tiny", 1).export(tmp_path)
    files = ModelRepository(tmp_path / "models").tower("tiny", Modality.TEXT)
    started = []

    def start(onnx, providers):
        graphs = providers[0][1]["enable_cuda_graph"]
        started.append(graphs)
        kind = Uncapturable if graphs == "1" else onnxruntime.InferenceSession
        return kind(onnx, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(cuda, "start_session", start)
    on_the_host = lambda *given, graphs: BoundSession(*given[:4], "cpu", 0, graphs=graphs)  # noqa: E731
    monkeypatch.setattr(cuda, "BoundSession", on_the_host)
    backend = cuda.CudaRuntime().start(TowerGraph(manifest, Modality.TEXT, files, files.onnx), 0, 1)
    assert started == ["1", "0"]
    assert caplog.messages == [
        "tiny.text runs without CUDA graphs: CUDA failure 900: operation not permitted when stream is capturing"
    ]
    one = {"input_ids": np.array([[0, 3]]), "attention_mask": np.array([[1, 1]])}
    np.testing.assert_allclose(backend.run(one)[0], TinyEncoder("tiny", 1).vector("red house"), atol=FLOAT32_VALUES)


def test_tensorrts_version_is_read_from_its_library():
    class Library:
        def getInferLibVersion(self):  # noqa: N802
            return 101_303

    assert tensorrt_version(Library) == "10.13.3"
    with pytest.raises(
        DeviceUnavailable, match=r"not installed \(libnvinfer.so.10\); run: pip install 'tensorrt-cu13<11'"
    ):
        tensorrt_version(missing)
