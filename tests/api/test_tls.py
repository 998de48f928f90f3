"""`simila serve` over TLS, HTTP and gRPC, by a certificate made for the test."""

import ssl
from pathlib import Path

import grpc
import httpx
import pytest
import trustme
from tritonclient.grpc import service_pb2
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from held_port import held_port
from server_process import ServerProcess
from simila.domain.model_repository import ModelRepository


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def test_http_and_grpc_speak_tls_and_nothing_else(
    tmp_path: Path, exported_repository: ModelRepository, authority: trustme.CA
) -> None:
    (tmp_path / "models").symlink_to(exported_repository.root, target_is_directory=True)
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "certificate.pem"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    environment = {
        "SIMILA_TLS_CERTIFICATE": str(tmp_path / "certificate.pem"),
        "SIMILA_TLS_KEY": str(tmp_path / "key.pem"),
        "SIMILA_ENCODERS": "all-minilm-l6-v2",
    }
    with (
        held_port() as grpc_port,
        ServerProcess.start(tmp_path, environment=environment | {"SIMILA_GRPC_PORT": str(grpc_port)}) as server,
    ):
        assert server.url.startswith("https://")
        trusted = ssl.create_default_context()
        authority.configure_trust(trusted)
        answer = httpx.get(f"{server.url}/readyz", verify=trusted)
        assert (answer.status_code, answer.headers["strict-transport-security"]) == (200, "max-age=31536000")
        with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            httpx.get(f"{server.url}/readyz")
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"{server.url}/readyz".replace("https", "http"))

        credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
        with grpc.secure_channel(f"127.0.0.1:{grpc_port}", credentials) as channel:
            assert GRPCInferenceServiceStub(channel).ServerLive(service_pb2.ServerLiveRequest()).live
        with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel, pytest.raises(grpc.RpcError):
            GRPCInferenceServiceStub(channel).ServerLive(service_pb2.ServerLiveRequest(), timeout=30)
