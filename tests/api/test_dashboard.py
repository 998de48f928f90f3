"""A real Prometheus scrapes a real server and is asked for everything that dashboard and alerts look at."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from api.wire import embed
from held_port import held_port

DEPLOY = Path(__file__).parents[2] / "server" / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboards" / "simila.json").read_text(encoding="utf-8"))
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
# These have series only beside a built index, a vector cache or a GPU: there it has to be enough that they are exposed.
CONDITIONAL = ("simila_collection_recall_at_10", "simila_index_build", "simila_cache_lookups", "simila_gpu_memory")
PATIENCE_SECONDS = 60

pytestmark = pytest.mark.skipif(shutil.which("prometheus") is None, reason="Debian's package prometheus is missing")


@pytest.fixture(scope="module")
def prometheus(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Prometheus, which scrapes the server every second: no scrape may take longer, and some machines are slow."""
    folder = tmp_path_factory.mktemp("prometheus")
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "200ms"}
    config["rule_files"] = [str(ALERTS)]
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [server_url.removeprefix("http://")]
    (folder / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with held_port() as port, (folder / "log").open("w") as log:
        address = f"127.0.0.1:{port}"
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log)
        try:
            with httpx.Client(base_url=f"http://{address}", transport=httpx.HTTPTransport(retries=8)) as client:
                yield client
        finally:
            process.terminate()
            process.wait()


def asked(prometheus: httpx.Client, expression: str) -> list[Any]:
    answer = prometheus.get("/api/v1/query", params={"query": expression.replace("$__rate_interval", "20s")}).json()
    assert answer["status"] == "success", (expression, answer)
    result: list[Any] = answer["data"]["result"]
    return result


def test_every_series_of_the_dashboard_is_there(
    prometheus: httpx.Client, api: httpx.Client, collection: Callable[[str], str]
) -> None:
    path = collection("all-minilm-l6-v2")
    api.post(f"{path}/items", json={"items": [{"id": "a", "text": "one"}]})
    api.post("/v1/embeddings", json={"model": "nope", "input": "a"})
    embed(api, "all-minilm-l6-v2", ["one"])
    exposed = api.get("/metrics").text
    wanted = set()
    for expression in EXPRESSIONS:
        if any(name in expression for name in CONDITIONAL):
            for name in re.findall(r"simila_\w+", expression):
                assert f"# TYPE {re.sub('_(sum|count|bucket)$', '', name)} " in exposed, name
        else:
            wanted.add(expression)
    assert len(wanted) > 15
    deadline = time.monotonic() + PATIENCE_SECONDS
    while missing := {expression for expression in wanted if not asked(prometheus, expression)}:
        assert time.monotonic() < deadline, missing
        embed(api, "all-minilm-l6-v2", ["two"])  # rates need two samples
        api.post("/v1/embeddings", json={"model": "nope", "input": "a"})


def test_the_alerts_are_loaded_and_evaluated_without_error(prometheus: httpx.Client) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        [group] = prometheus.get("/api/v1/rules").json()["data"]["groups"]
        if all(rule["health"] == "ok" for rule in group["rules"]):
            break
        assert time.monotonic() < deadline, group
    assert len(group["rules"]) == len(yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"][0]["rules"])


def test_the_alerts_fire_when_they_should() -> None:
    for arguments in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts.test.yml"]):
        finished = subprocess.run(
            ["promtool", *arguments], cwd=ALERTS.parent, capture_output=True, text=True, check=False
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr
