import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from server_process import ServerProcess, folder_with_models
from simila.cli.addresses import CannotListen, bound_socket, refuse_open_bind
from simila.cli.errors import WrongUsage
from simila.settings import Settings


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_is_open_to_nobody_else(host):
    refuse_open_bind(Settings(host=host), has_keys=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "server.example"])
def test_another_address_needs_the_word_insecure(host):
    with pytest.raises(WrongUsage, match=f"^{host} can be reached from other machines.*--insecure"):
        refuse_open_bind(Settings(host=host), has_keys=False)
    refuse_open_bind(Settings(host=host, insecure=True), has_keys=False)
    refuse_open_bind(Settings(host=host), has_keys=True)


def test_the_command_refuses_an_open_bind(run):
    result = run("serve", "--host", "0.0.0.0")

    assert result.exit_code == 2
    assert result.stderr.startswith("error: 0.0.0.0 can be reached from other machines")


def test_a_taken_port_is_one_line(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "--port", port)

    expected = f"error: cannot listen on 127.0.0.1, port {port}: address already in use"
    assert (result.exit_code, result.stderr) == (1, f"{expected}; stop what listens there, or set --port\n")


def test_an_address_of_another_machine_is_explained():
    with pytest.raises(CannotListen, match=r"cannot listen on 192\.0\.2\.1, port 0: cannot assign requested address"):
        bound_socket("192.0.2.1", 0)


def test_localhost_is_where_ipv4_clients_look(monkeypatch):
    ipv4 = socket.getaddrinfo("127.0.0.1", 0, type=socket.SOCK_STREAM)
    ipv6 = socket.getaddrinfo("::1", 0, type=socket.SOCK_STREAM)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: ipv6 + ipv4)

    with bound_socket("localhost", 0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_options_reach_the_application_and_it_answers_on_the_real_port(tmp_path):
    program = f"""
import typer
from simila.cli.errors import CommandGroup
from simila.cli.serve import serve_command

def create_app(settings, drain):
    print(settings.port, settings.data_dir, flush=True)
    async def answer(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            await send({{"type": "lifespan.startup.complete"}})
            await receive()
            await send({{"type": "lifespan.shutdown.complete"}})
            return
        await send({{"type": "http.response.start", "status": 200, "headers": []}})
        await send({{"type": "http.response.body", "body": b"hello"}})
    return answer

app = typer.Typer(cls=CommandGroup)
app.command()(serve_command(create_app, lambda settings: []))
app.callback()(lambda: None)
app(["serve", "--port", "0", "--data-dir", {str(tmp_path)!r}])
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port, data_dir = server.stdout.readline().split()
            with httpx.Client(transport=httpx.HTTPTransport(retries=5)) as client:
                answer = client.get(f"http://127.0.0.1:{port}/")
        finally:
            server.terminate()

    assert (answer.text, data_dir) == ("hello", str(tmp_path))
    assert "server" not in answer.headers


@contextmanager
def server_with_half_a_request(folder, shutdown_seconds):
    environment = {"SIMILA_ENCODERS": "efficientnet-lite0", "SIMILA_SHUTDOWN_SECONDS": str(shutdown_seconds)}
    with ServerProcess.start(folder, environment=environment) as server:
        address = urlsplit(server.url)
        with socket.create_connection((address.hostname, address.port)) as half_sent:
            head = b"POST /v1/embeddings HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 100"
            half_sent.sendall(head + b"\r\n\r\n")
            assert half_sent.recv(100).startswith(b"HTTP/1.1 100")
            half_sent.sendall(b"{")
            server.process.send_signal(signal.SIGTERM)
            yield server


@pytest.fixture
def served_folder(tmp_path, exported_repository):
    return folder_with_models(tmp_path / "served", exported_repository.root)


def test_a_request_that_never_ends_does_not_keep_the_server(served_folder):
    with server_with_half_a_request(served_folder, shutdown_seconds=1) as server:
        server.process.communicate(timeout=60)
        assert server.process.returncode == 0


def test_a_second_signal_ends_the_server_at_once(served_folder):
    with server_with_half_a_request(served_folder, shutdown_seconds=1000) as server:
        while httpx.get(f"{server.url}/readyz").status_code == httpx.codes.OK:
            pass
        server.process.send_signal(signal.SIGTERM)
        server.process.communicate(timeout=60)
        assert server.process.returncode == 128 + signal.SIGTERM


def test_more_workers_are_refused_with_the_reason(run):
    result = run("serve", "--workers", "2")

    assert result.exit_code == 2
    assert "one writes the data folder" in result.stderr


def test_all_settings_that_make_no_sense_are_told_at_once(run, monkeypatch):
    monkeypatch.setenv("SIMILA_LOG_LEVEL", "loud")
    monkeypatch.setenv("SIMILA_ENGINE__WORKERS", "-1")
    monkeypatch.setenv("SIMILA_TLS_CERTIFICATE", "certificate.pem")
    monkeypatch.setenv("SIMILA_LIMITS", "{max_items")

    result = run("serve", "--port", "99999")

    assert result.exit_code == 2
    for name in ("port", "tls_key", "log_level", "engine.workers", "limits"):
        assert f"setting {name}: " in result.stderr


def test_values_that_make_no_sense_are_told_with_what_the_others_ask_for(run, monkeypatch, tmp_path):
    (tmp_path / "simila.toml").write_text("prot = 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIMILA_PRECISIONS", '["fp16"]')
    monkeypatch.setenv("SIMILA_DEVICE", "abacus")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("SIMILA_GRPC_PORT", str(taken.getsockname()[1]))
        result = run("serve", "--port", "99999")

    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    for told in ("setting prot: ", "setting port: ", "setting precisions: ", "'abacus'", "SIMILA_GRPC_PORT"):
        assert told in result.stderr
    assert "8000" not in result.stderr


def test_addresses_certificate_and_encoders_are_told_at_once(run, monkeypatch, tmp_path):
    monkeypatch.setenv("SIMILA_ENCODERS", "nope")
    monkeypatch.setenv("SIMILA_TLS_CERTIFICATE", str(tmp_path / "no.pem"))
    monkeypatch.setenv("SIMILA_TLS_KEY", str(tmp_path / "no.key"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("SIMILA_GRPC_PORT", str(port))
        result = run("serve", "--port", "0")

    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    port_taken = f"cannot listen on 127.0.0.1, port {port}: address already in use"
    assert f"{port_taken}; stop what listens there, or set SIMILA_GRPC_PORT" in result.stderr
    no_file = "no.key, cannot be used: No such file or directory (SIMILA_TLS_CERTIFICATE, SIMILA_TLS_KEY)"
    assert no_file in result.stderr
    assert "no encoder is called 'nope'" in result.stderr


def test_a_certificate_that_is_none_is_one_line(run, monkeypatch, tmp_path):
    (tmp_path / "no.pem").write_text("no certificate")
    monkeypatch.setenv("SIMILA_TLS_CERTIFICATE", str(tmp_path / "no.pem"))
    monkeypatch.setenv("SIMILA_TLS_KEY", str(tmp_path / "no.pem"))

    result = run("serve", "--port", "0")

    assert result.exit_code == 2
    assert "(SIMILA_TLS_CERTIFICATE, SIMILA_TLS_KEY)" in result.stderr
    assert "None" not in result.stderr


def test_a_folder_of_collections_that_is_a_file_is_one_line(run, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "collections").write_text("")

    result = run("serve", "--port", "0")

    assert result.exit_code == 1
    assert result.stderr.startswith(
        f"error: the folder of collections {tmp_path / 'data' / 'collections'} cannot be used"
    )
    assert result.stderr.count("\n") == 1
