"""What changes something is noted with who did it, and nothing of what was sent."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from api.conftest import serving
from simila.domain.access import Scope
from simila.settings import Settings
from simila.storage.api_keys import ApiKeys
from simila.storage.audit_log import AuditLog

MINILM = "all-minilm-l6-v2"


@pytest.fixture(scope="module")
def settings(data_folder: Callable[[], Path]) -> Settings:
    return Settings(data_dir=data_folder(), encoders=(MINILM,))


@pytest.fixture(scope="module")
def key(settings: Settings) -> tuple[str, str]:
    """The id of a key, and the key."""
    keys = ApiKeys(settings.keys_path)
    record, text = keys.create("ada", Scope.WRITE)
    keys.close()
    return record.id, text


@pytest.fixture(scope="module")
def client(settings: Settings, key: tuple[str, str]) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {key[1]}"}
    with serving(settings) as url, httpx.Client(base_url=url, headers=headers, timeout=60) as running:
        yield running


def entries(settings: Settings) -> list[dict]:
    return [json.loads(line) for line in settings.audit_path.read_text().splitlines()]


def test_changes_are_noted_and_reading_is_not(client: httpx.Client, settings: Settings, key: tuple[str, str]) -> None:
    named = {"X-Request-Id": "from-the-client"}
    assert client.put("/v1/collections/noted", json={"encoder": MINILM}, headers=named).status_code == 201
    items = [{"id": "secret id", "text": "secret text", "payload": {"word": "secret payload"}}]
    client.post("/v1/collections/noted/items", json={"items": items})
    client.post("/v1/collections/noted/search", json={"text": "secret query"})
    client.post("/v1/embeddings", json={"model": MINILM, "input": "secret input"})
    client.patch("/v1/collections/noted/items/secret id", json={"label": "secret label"})
    client.post("/v1/collections/noted/items/delete", json={"ids": ["another secret id"]})
    client.delete("/v1/collections/noted/items/secret id")
    client.post("/v1/collections/noted/forget", json={"ids": ["secret id"]})
    refused = client.get("/v1/collections/noted/export")

    assert refused.status_code == 403
    noted = [(entry["key"], entry["action"], entry["subject"], entry["status"]) for entry in entries(settings)]
    assert noted == [
        (key[0], "PUT", "/v1/collections/noted", 201),
        (key[0], "POST", "/v1/collections/noted/items", 200),
        (key[0], "PATCH", "/v1/collections/noted/items/…", 200),
        (key[0], "POST", "/v1/collections/noted/items/delete", 200),
        (key[0], "DELETE", "/v1/collections/noted/items/…", 204),
        (key[0], "POST", "/v1/collections/noted/forget", 200),
    ]
    assert entries(settings)[0]["request_id"] == "from-the-client"
    assert AuditLog(settings.audit_path).verify().broken_line is None
    kept = settings.audit_path.read_text()
    assert "secret" not in kept
    assert key[1] not in kept
