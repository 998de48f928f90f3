"""How a server starts, and what keeps it from starting."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import onnxruntime
import pytest

from server_process import SERVE, ServerProcess, folder_with_models
from simila.domain.model_repository import ModelRepository
from tolerances import PARITY_COSINE

# Importing one of these raises, as it does where they are not installed.
EXPORT_PACKAGES = ["torch", "transformers", "onnx", "onnxscript", "safetensors", "efficientnet_lite_pytorch"]
WITHOUT_TORCH = f"""
import sys
sys.modules.update(dict.fromkeys({EXPORT_PACKAGES}))
from simila.__main__ import main
main()
"""


ONE_ENCODER = {"SIMILA_ENCODERS": "efficientnet-lite0"}


@pytest.fixture
def folder(tmp_path: Path, exported_repository: ModelRepository) -> Path:
    return folder_with_models(tmp_path / "data", exported_repository.root)


@pytest.fixture(scope="module")
def served_folder(tmp_path_factory: pytest.TempPathFactory, exported_repository: ModelRepository) -> Path:
    return folder_with_models(tmp_path_factory.mktemp("start") / "data", exported_repository.root)


@pytest.fixture(scope="module")
def server_without_torch(served_folder: Path) -> Iterator[ServerProcess]:
    """All default encoders, where torch cannot be imported."""
    command = (sys.executable, "-c", WITHOUT_TORCH, "serve")
    with ServerProcess.start(served_folder, command=command) as server:
        yield server


def refused(*options: str, code: int = 1) -> str:
    """What `simila serve` says when it does not start."""
    finished = subprocess.run([*SERVE, *options], capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode == code
    assert "Traceback" not in finished.stderr
    return " ".join(finished.stderr.split())


def test_it_serves_where_torch_cannot_be_imported(server_without_torch: ServerProcess) -> None:
    url = server_without_torch.url
    assert httpx.get(f"{url}/readyz").json()["ready"] is True
    body = {"model": "simila-lite", "input": "a cat", "labels": ["a cat", "a dog"]}
    answer = httpx.post(f"{url}/v1/classify", json=body).json()
    assert answer["data"][0]["prediction"] == "a cat"


def test_the_last_line_names_the_encoders_and_a_curl_that_works(server_without_torch: ServerProcess) -> None:
    server = server_without_torch
    names = "all-minilm-l6-v2, efficientnet-lite0, efficientnet-lite2, simila-lite"
    assert f"Simila is ready on {server.url}, serving {names}." in server.ready_line
    curl = server.ready_line.partition("Try: ")[2]
    answer = subprocess.run(curl, shell=True, capture_output=True, text=True, check=True).stdout
    assert '"object":"embedding"' in answer


def test_a_second_server_on_the_same_folder_is_refused(
    served_folder: Path, server_without_torch: ServerProcess
) -> None:
    message = refused("--port", "0", "--data-dir", str(served_folder))
    assert f"is in use by another process (pid {server_without_torch.process.pid})" in message
    assert "SIMILA_DATA_DIR" in message


def test_ctrl_c_ends_it_quietly(folder: Path) -> None:
    with ServerProcess.start(folder, environment={**ONE_ENCODER, "SIMILA_LOG_LEVEL": "warning"}) as server:
        server.process.send_signal(signal.SIGINT)
        _, errors = server.process.communicate(timeout=60)
        assert (server.process.returncode, errors) == (0, "")


def test_the_log_says_in_one_line_what_encoders_run_on(folder: Path) -> None:
    with ServerProcess.start(folder, environment={**ONE_ENCODER, "SIMILA_DEVICE": "cpu"}) as server:
        server.process.send_signal(signal.SIGINT)
        _, log = server.process.communicate(timeout=60)
    [line] = [line for line in log.splitlines() if "device" in line]
    assert line.endswith(f"INFO simila.app: device cpu: cpu (ONNX Runtime {onnxruntime.__version__})")


def test_a_device_that_is_not_there_is_refused_with_what_was_found(folder: Path, monkeypatch) -> None:
    monkeypatch.setenv("SIMILA_DEVICE", "cpu:7")
    message = refused("--port", "0", "--data-dir", str(folder))
    assert message == f"error: device 'cpu:7' is not there; found: cpu (ONNX Runtime {onnxruntime.__version__})"


def test_a_taken_port_is_refused(folder: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        message = refused("--port", str(port), "--data-dir", str(folder))
    assert f"cannot listen on 127.0.0.1, port {port}: address already in use" in message


def test_an_address_beyond_loopback_is_refused(folder: Path) -> None:
    assert "--insecure" in refused("--host", "0.0.0.0", "--data-dir", str(folder), code=2)


def test_an_unknown_encoder_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMILA_ENCODERS", '["nope"]')
    assert "no encoder is called 'nope'" in refused("--port", "0", "--data-dir", str(folder))


def test_without_exports_it_starts_and_says_what_to_run(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*SERVE, "--port", "0", "--data-dir", str(tmp_path / "empty")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"SIMILA_ENCODERS": '["simila-lite"]'},
    )
    assert process.stdout
    line = process.stdout.readline()
    url = line.split()[3].rstrip(",")
    try:
        assert "no encoder could be loaded; run: simila models export" in line
        assert httpx.get(f"{url}/healthz").status_code == 200
        ready = httpx.get(f"{url}/readyz")
        assert ready.status_code == 503
        assert "run: simila models export simila-lite" in ready.json()["encoders"]["simila-lite"]
        answer = httpx.post(f"{url}/v1/embeddings", json={"model": "simila-lite", "input": "a"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    finally:
        process.kill()
        process.communicate()


def test_one_bad_collection_leaves_the_others_serving(folder: Path) -> None:
    with ServerProcess.start(folder, environment=ONE_ENCODER) as server:
        for name in ("good", "bad"):
            httpx.put(f"{server.url}/v1/collections/{name}", json={"encoder": "efficientnet-lite0"}).raise_for_status()
    (items,) = (folder / "collections" / "bad").glob("*/items.sqlite")
    items.write_bytes(b"no database" * 1000)
    with ServerProcess.start(folder, environment=ONE_ENCODER) as server:
        states = {entry["name"]: entry for entry in httpx.get(f"{server.url}/v1/collections").json()["data"]}
        assert (states["good"]["state"], states["bad"]["state"]) == ("ready", "unavailable")
        answer = httpx.get(f"{server.url}/v1/collections/bad")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "collection_unavailable")
        assert httpx.delete(f"{server.url}/v1/collections/bad").status_code == 204


def test_verify_checks_the_certificates_of_all_encoders(folder: Path) -> None:
    command = [sys.executable, "-m", "simila", "models", "verify", "--json", "--data-dir", str(folder)]
    findings = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    towers = {finding["name"]: set(finding["lowest_cosines"]) for finding in findings}
    assert towers == {
        "all-minilm-l6-v2": {"text"},
        "efficientnet-lite0": {"image"},
        "efficientnet-lite2": {"image"},
        "simila-lite": {"image", "text"},
    }
    assert min(cosine for finding in findings for cosine in finding["lowest_cosines"].values()) >= PARITY_COSINE
