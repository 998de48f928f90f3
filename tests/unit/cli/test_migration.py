"""`simila collections migrate` follows a migration to its end."""

import functools

import httpx
import pytest
from typer.testing import CliRunner

from simila.__main__ import app
from simila.cli import connection, migration
from simila_client import Simila


def state(name, done, error=None):
    return {"encoder": "new", "state": name, "items_done": done, "items_total": 3, "error": error}


@pytest.fixture
def run(monkeypatch):
    """Run the command against a server that gives these answers, one after the other."""

    def invoke(*answers, options=()):
        left = list(answers)
        requests = []

        def answer(request):
            requests.append((request.method, request.url.path))
            return httpx.Response(202, json=left.pop(0))

        monkeypatch.setattr(migration, "POLL_SECONDS", 0)
        monkeypatch.setattr(connection, "Simila", functools.partial(Simila, transport=httpx.MockTransport(answer)))
        result = CliRunner().invoke(app, ["collections", "migrate", "c", "--encoder", "new", *options])
        return result, requests

    return invoke


def test_it_waits_until_all_is_done(run):
    result, requests = run(state("running", 0), state("running", 2), state("done", 3))
    assert (result.exit_code, result.stdout) == (0, "c: 3 items; the collection has the encoder new\n")
    path = "/v1/collections/c/migrate"
    assert requests == [("POST", path), ("GET", path), ("GET", path)]


def test_it_need_not_wait(run):
    result, requests = run(state("running", 0), options=["--no-wait"])
    assert (result.exit_code, len(requests)) == (0, 1)
    assert result.stdout == "c: 3 items; the collection will have the encoder new\n"


def test_a_failure_is_told(run):
    result, _ = run(state("running", 0), state("failed", 2, "item 'x': no"))
    assert result.exit_code == 1
    assert "c stays as it was: item 'x': no" in result.stderr
