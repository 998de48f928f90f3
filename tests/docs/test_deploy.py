"""What server/deploy and the compose file name is there, and they agree with the server."""

from pathlib import Path
from typing import Any

import yaml

from simila.settings import Settings
from simila.telemetry import metrics

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
KUBERNETES = {
    document["kind"]: document
    for document in yaml.safe_load_all((ROOT / "server/deploy/kubernetes/simila.yaml").read_text(encoding="utf-8"))
}


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
