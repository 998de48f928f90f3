"""Nothing of what was sent is in what is told to those who run the server, however much they want to be told."""

import signal
import stat
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest
from tritonclient.grpc import service_pb2
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from api.marked_requests import MARK, marked_png, send_bad, send_good
from api.trace_collector import trace_collector
from api.wire import b64
from held_port import held_port
from image_host import image_host
from server_process import ServerProcess
from simila.api.openapi_examples import JOINT, TEXTS
from simila.domain.access import Scope
from simila.domain.model_repository import ModelRepository
from simila.storage.api_keys import ApiKeys


@dataclass(frozen=True)
class Told:
    """All that a server told, by where, once it had ended; its data folder is as it left it."""

    texts: dict[str, str]
    key: str
    folder: Path


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, exported_repository: ModelRepository) -> Told:
    folder = tmp_path_factory.mktemp("data")
    (folder / "models").symlink_to(exported_repository.root, target_is_directory=True)
    keys = ApiKeys(folder / "keys.sqlite3")
    _, key = keys.create("ada", Scope.ADMIN)
    keys.close()
    with held_port() as grpc_port, image_host() as images, trace_collector() as (endpoint, spans):
        images.photo = marked_png()
        environment = {
            "SIMILA_ENCODERS": f"{TEXTS} {JOINT}",
            "SIMILA_LOG_LEVEL": "debug",
            "SIMILA_LOG_REQUESTS": "1",
            "SIMILA_OTLP_ENDPOINT": endpoint,
            "SIMILA_GRPC_PORT": str(grpc_port),
            "SIMILA_FETCH__ENABLED": "true",
            "SIMILA_FETCH__ALLOWED_NETWORKS": "127.0.0.1/32",
            "SIMILA_FETCH__PORTS": str(images.port),
        }
        with ServerProcess.start(folder, environment=environment) as server:
            headers = {"authorization": f"Bearer {key}"}
            with httpx.Client(base_url=server.url, headers=headers, timeout=60) as api:
                document = api.get("/openapi.json").json()
                send_good(api)
                send_urls(api, images.port)
                send_bad(api, [f"{way.upper()} {path}" for path, ways in document["paths"].items() for way in ways])
                send_grpc(f"127.0.0.1:{grpc_port}", key)
                keep_something(api)
                metrics = api.get("/metrics").text
            server.process.send_signal(signal.SIGTERM)
            _, log = server.process.communicate(timeout=60)
        assert server.process.returncode == 0, log
    traces = "\n".join(span.SerializeToString().decode("latin-1") for span in spans)
    audit = (folder / "audit.jsonl").read_text(encoding="utf-8")
    return Told({"log": log, "metrics": metrics, "traces": traces, "audit": audit}, key, folder)


def send_urls(api: httpx.Client, port: int) -> None:
    for kind in ("photo", "missing", "garbage"):
        url = f"http://127.0.0.1:{port}/{kind}/{MARK}?{MARK}={MARK}"
        answer = api.post("/v1/embeddings", json={"model": JOINT, "input": [{"image": url}]})
        assert answer.is_success == (kind == "photo"), answer.text


def send_grpc(address: str, key: str) -> None:
    text = service_pb2.ModelInferRequest.InferInputTensor(name="text", datatype="BYTES", shape=[1])
    text.contents.bytes_contents.append(MARK.encode())
    good = service_pb2.ModelInferRequest(model_name=TEXTS, inputs=[text])
    unknown = service_pb2.ModelInferRequest(model_name=MARK, inputs=[text])
    with grpc.insecure_channel(address) as channel:
        stub = GRPCInferenceServiceStub(channel)
        stub.ModelInfer(good, metadata=[("api-key", key)])
        for request, sent in ((good, MARK), (unknown, key)):
            with pytest.raises(grpc.RpcError):
                stub.ModelInfer(request, metadata=[("api-key", sent)])


def keep_something(api: httpx.Client) -> None:
    """Leave a collection with an image, texts and a trained classifier behind."""
    items = [{"id": f"{number} {MARK}", "text": f"{MARK} {number}", "label": "ab"[number % 2]} for number in range(6)]
    items.append({"id": "image", "image": b64(marked_png())})
    assert api.put("/v1/collections/kept", json={"encoder": JOINT, "store_inputs": True}).is_success
    assert api.post("/v1/collections/kept/items", json={"items": items}).is_success
    assert api.post("/v1/train", json={"collection": "kept"}).is_success
    assert api.put("/v1/aliases/other", json={"model": TEXTS}).is_success


@pytest.mark.parametrize("where", ["log", "metrics", "traces"])
def test_no_input_is_told(told: Told, where: str) -> None:
    assert len(told.texts[where].splitlines()) > 300, "there is something to look at"
    sent = (MARK, b64(marked_png())[:40])
    assert [line for line in told.texts[where].splitlines() if any(part in line for part in sent)] == []


@pytest.mark.parametrize("where", ["log", "metrics", "traces", "audit"])
def test_no_key_is_told(told: Told, where: str) -> None:
    secret = told.key.split("_", 2)[2]
    assert len(secret) > 20
    assert secret not in told.texts[where]


def test_everything_in_the_data_folder_is_its_owners_alone(told: Told) -> None:
    modes = {
        path.relative_to(told.folder): stat.S_IMODE(path.lstat().st_mode)
        for path in [told.folder, *told.folder.rglob("*")]
        if not path.is_symlink()
    }
    assert {".lock", "keys.sqlite3", "audit.jsonl", "aliases.json"} <= {path.name for path in modes}
    assert any(path.match("collections/kept/*/items.sqlite") for path in modes)
    assert any(path.match("classifiers/*") for path in modes)
    wrong = {str(path): oct(mode) for path, mode in modes.items() if mode & 0o077}
    assert wrong == {}
