"""What server/deploy and the compose file name is there, and they agree with the server and with docs/operations.md."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

from simila.settings import Settings
from simila.telemetry import metrics

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
KUBERNETES = {
    document["kind"]: document
    for document in yaml.safe_load_all((ROOT / "server/deploy/kubernetes/simila.yaml").read_text(encoding="utf-8"))
}

PROMETHEUS = ROOT / "server/deploy/prometheus"
OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
ALERTS = [rule["alert"] for rule in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"][0]["rules"]]


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_is_tested_to_fire_and_not_to_and_has_a_remedy(alert: str) -> None:
    tests = yaml.safe_load((PROMETHEUS / "alerts.test.yml").read_text(encoding="utf-8"))["tests"]
    expected = [one["exp_alerts"] for test in tests for one in test["alert_rule_test"] if one["alertname"] == alert]
    assert [] in expected
    assert any(expected)
    assert alert in OPERATIONS.partition("When an alert fires")[2]


def test_every_metric_is_documented() -> None:
    ours = {family.name for family in REGISTRY.collect() if family.name.startswith("simila_")}
    assert len(ours) > 12
    assert {name for name in ours if f"`{name}" not in OPERATIONS} == set()


def test_a_first_failure_is_a_rise() -> None:
    outcomes = {sample.labels["outcome"] for family in metrics.INDEX_BUILDS.collect() for sample in family.samples}
    assert outcomes >= {"done", "failed", "cancelled"}


def pod() -> dict[str, Any]:
    spec: dict[str, Any] = KUBERNETES["Deployment"]["spec"]["template"]["spec"]
    return spec


def test_every_folder_and_dockerfile_that_compose_names_is_there() -> None:
    for service in COMPOSE["services"].values():
        if "build" in service:
            assert (ROOT / service["build"]["dockerfile"]).is_file()
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert (ROOT / source).is_dir() if source.startswith(".") else source in COMPOSE["volumes"]


def test_only_what_keeps_strangers_away_serves_without_a_key() -> None:
    for dockerfile in (ROOT / "server").glob("Dockerfile*"):
        assert "insecure" not in dockerfile.read_text(encoding="utf-8").rpartition("CMD")[2]
    for service in COMPOSE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    policy = KUBERNETES["NetworkPolicy"]["spec"]
    assert policy["podSelector"] == KUBERNETES["Deployment"]["spec"]["selector"]
    assert [one["podSelector"]["matchLabels"] for one in policy["ingress"][0]["from"]] == [{"simila-client": "true"}]


def test_a_plain_up_starts_simila_alone() -> None:
    assert [name for name, service in COMPOSE["services"].items() if "profiles" not in service] == ["simila"]


def test_kubernetes_sets_settings_and_waits_as_long_as_the_server_does() -> None:
    [container] = pod()["containers"]
    variables = {entry["name"]: entry["value"] for entry in container["env"]}
    assert {name.removeprefix("SIMILA_").lower() for name in variables} <= set(Settings.model_fields)
    waits = float(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert waits + float(variables["SIMILA_SHUTDOWN_SECONDS"]) < pod()["terminationGracePeriodSeconds"]


def test_kubernetes_probes_the_routes_of_the_server_and_limits_what_it_may_take() -> None:
    [container] = pod()["containers"]
    probed = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}
    assert probed == {"startup": "/healthz", "readiness": "/readyz", "liveness": "/healthz"}
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_kubernetes_scales_by_a_metric_that_the_server_exposes() -> None:
    [metric] = KUBERNETES["HorizontalPodAutoscaler"]["spec"]["metrics"]
    [family] = metrics.QUEUE_ROWS.collect()
    assert metric["pods"]["metric"]["name"] == family.name
