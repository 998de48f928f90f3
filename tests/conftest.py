"""What tests on real encoders share: exported once, then kept."""

import os
from pathlib import Path

import pytest
from httpx._config import DEFAULT_TIMEOUT_CONFIG
from hypothesis import HealthCheck, settings

from simila.domain.model_repository import ModelRepository
from simila_models.catalogue import bundled_manifests
from simila_models.export import export_encoder
from simila_models.progress import Silent
from triton_server import PYTHON, install_triton, why_not

# As `simila` does, before anything loads OpenMP.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# For requests of tests that name no limit: the five seconds of httpx may pass on a busy machine.
DEFAULT_TIMEOUT_CONFIG.connect = DEFAULT_TIMEOUT_CONFIG.read = DEFAULT_TIMEOUT_CONFIG.write = 60.0

# Properties are tried on the same examples in every run, however slow the machine; `make fuzz` searches for new ones.
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same_examples", settings.get_profile("search"), derandomize=True)
settings.load_profile("same_examples")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The data folder of the test runs. Weights and exports stay there, so that only the first run makes them."""
    default = Path(__file__).parent.parent / ".cache" / "test-data"
    return Path(os.environ.get("SIMILA_TEST_DATA_DIR", default))


@pytest.fixture(scope="session")
def exported_repository(data_dir: Path) -> ModelRepository:
    """All bundled encoders, exported."""
    repository = ModelRepository(data_dir / "models")
    for manifest in bundled_manifests().values():
        export_encoder(manifest, repository, data_dir / "sources", Silent())
    return repository


@pytest.fixture(scope="session")
def installed_triton(data_dir: Path) -> Path:
    """Where tritonserver and its packages are; only the first run installs them."""
    if reason := why_not():
        pytest.skip(reason)
    return install_triton(data_dir / f"tritonserver-python{PYTHON}")
