import functools

import httpx
import pytest
from typer.testing import CliRunner

from simila.__main__ import app
from simila.cli import connection
from simila_client import Simila
from unit.cli.fake_server import FakeServer


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path):
    """No setting of whoever runs the tests, a folder of its own, and people who read."""
    monkeypatch.chdir(tmp_path)
    for name in ("SIMILA_HOST", "SIMILA_PORT", "SIMILA_ENCODERS", "SIMILA_INSECURE", "SIMILA_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SIMILA_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "dumb")  # no colours


@pytest.fixture
def piped(monkeypatch):
    """What is printed goes into a pipe."""
    monkeypatch.delenv("TTY_COMPATIBLE")


@pytest.fixture
def server(monkeypatch):
    """A stand-in that every command of the test talks to."""
    fake = FakeServer()
    monkeypatch.setattr(connection, "Simila", functools.partial(Simila, transport=httpx.MockTransport(fake)))
    return fake


@pytest.fixture
def run(server):  # noqa: ARG001
    """Run a command line in this process, against the stand-in."""

    def invoke(*arguments, stdin=None):
        return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)

    return invoke
