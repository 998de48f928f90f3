"""What docker-compose.yml asks of Simila is what Simila understands."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from simila.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))


def environment(**given: str) -> dict[str, str]:
    """The variables of the service, with compose's own put in."""

    def value(found: re.Match[str]) -> str:
        return given.get(found["name"], found["default"])

    return {
        name: re.sub(r"\$\{(?P<name>\w+):-(?P<default>[^}]*)\}", value, str(entry))
        for name, entry in COMPOSE["services"]["simila"]["environment"].items()
    }


@pytest.mark.parametrize(("given", "device"), [({}, "auto"), ({"SIMILA_DEVICE": "triton"}, "triton")])
def test_its_variables_are_settings(given: dict[str, str], device: str, monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in environment(**given).items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert (settings.device, settings.triton.addresses) == (device, ("triton:8001",))
    known = {f"SIMILA_{field.upper()}" for field in Settings.model_fields}
    assert {name.partition("__")[0] for name in environment()} <= known


def test_triton_has_the_models_and_the_memory_of_simila_and_comes_only_with_its_profile() -> None:
    simila, triton = COMPOSE["services"]["simila"], COMPOSE["services"]["triton"]
    assert "profiles" not in simila
    assert triton["profiles"] == ["triton"]
    assert simila["volumes"] == ["data:/data"]
    assert triton["volumes"] == ["data:/data:ro"]
    assert (simila["ipc"], triton["ipc"]) == ("shareable", "service:simila")
    assert "--model-repository=/data/models" in triton["command"]
