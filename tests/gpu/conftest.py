"""Tests that need a GPU say why they are skipped: which driver, runtime or library is not here."""

from pathlib import Path

import pytest

from simila.backends import Runtime
from simila.backends.cuda import CudaRuntime
from simila.backends.tensorrt import TensorRtRuntime
from simila.backends.torch_program import TorchRuntime
from simila.domain.errors import DeviceUnavailable


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.gpu)


def require(runtime: Runtime) -> int:
    """How many devices a runtime has here; the test is skipped where it has none."""
    try:
        return len(runtime.devices())
    except DeviceUnavailable as error:
        pytest.skip(error.message)


@pytest.fixture(scope="session")
def cuda() -> int:
    return require(CudaRuntime())


@pytest.fixture(scope="session")
def tensorrt() -> int:
    return require(TensorRtRuntime())


@pytest.fixture(scope="session")
def torch_cuda() -> int:
    return require(TorchRuntime())
