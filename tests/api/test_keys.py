"""A server whose callers need keys."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from api.conftest import serving
from simila.domain.access import Allowance, Scope
from simila.settings import Settings
from simila.storage import api_keys
from simila.storage.api_keys import ApiKeys

MINILM = "all-minilm-l6-v2"
EMBED = {"model": MINILM, "input": "hello"}


@pytest.fixture(scope="module")
def settings(data_folder: Callable[[], Path]) -> Settings:
    return Settings(data_dir=data_folder(), encoders=(MINILM,))


@pytest.fixture(scope="module")
def url(settings: Settings) -> Iterator[str]:
    """A server that sees at once what another process does to the keys."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api_keys, "_FRESH_SECONDS", 0.0)
        with serving(settings) as running:
            yield running


@pytest.fixture(scope="module")
def keys(settings: Settings) -> ApiKeys:
    """The keys as another process would change them."""
    return ApiKeys(settings.keys_path)


def call(url: str, method: str, path: str, key: str | None = None, **content: object) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.request(method, f"{url}{path}", headers=headers, timeout=30, **content)  # type: ignore[arg-type]


def told(response: httpx.Response) -> tuple[int, str, str]:
    error = response.json()["error"]
    return response.status_code, error["type"], error["code"]


def test_without_a_key_only_probes_and_pages_are_answered(url: str, keys: ApiKeys) -> None:
    keys.create("first", Scope.READ)
    refused = call(url, "POST", "/v1/embeddings", json=EMBED)

    assert told(refused) == (401, "authentication_error", "invalid_api_key")
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert told(call(url, "GET", "/v1/models", "simila_0_wrong")) == (401, "authentication_error", "invalid_api_key")
    assert call(url, "GET", "/readyz").status_code == 200
    assert call(url, "GET", "/openapi.json").status_code == 200


def test_both_headers_carry_a_key(url: str, keys: ApiKeys) -> None:
    _, key = keys.create("ada", Scope.READ)

    assert call(url, "POST", "/v1/embeddings", key, json=EMBED).status_code == 200
    assert httpx.get(f"{url}/v1/models", headers={"api-key": key}).status_code == 200


def test_a_key_allows_what_its_scope_says(url: str, keys: ApiKeys) -> None:
    _, reader = keys.create("reader", Scope.READ)
    _, writer = keys.create("writer", Scope.WRITE)
    _, admin = keys.create("admin", Scope.ADMIN)
    body = {"encoder": MINILM}

    refused = call(url, "PUT", "/v1/collections/scoped", reader, json=body)
    assert told(refused) == (403, "permission_error", "forbidden")
    assert "is for read; this needs a key for write" in refused.json()["error"]["message"]
    assert call(url, "PUT", "/v1/collections/scoped", writer, json=body).status_code == 201
    assert call(url, "GET", "/v1/collections/scoped/export", writer).status_code == 403
    assert call(url, "GET", "/v1/collections/scoped/export", admin).status_code == 200


def test_a_key_of_some_collections_reaches_no_other(url: str, keys: ApiKeys) -> None:
    _, everything = keys.create("all", Scope.WRITE)
    _, some = keys.create("some", Scope.WRITE, collections=["mine"])
    for name in ("mine", "theirs"):
        call(url, "PUT", f"/v1/collections/{name}", everything, json={"encoder": MINILM})
        items = [{"id": str(number), "text": f"{name} {number}", "label": "ab"[number % 2]} for number in range(4)]
        assert call(url, "POST", f"/v1/collections/{name}/items", everything, json={"items": items}).is_success

    assert call(url, "GET", "/v1/collections/mine", some).status_code == 200
    refused = call(url, "POST", "/v1/collections/theirs/search", some, json={"text": "hello"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (403, "name")
    listed = {entry["name"] for entry in call(url, "GET", "/v1/collections", some).json()["data"]}
    assert listed == {"mine"}
    for key, seen in ((some, {"mine"}), (everything, {"mine", "theirs"})):
        measured = call(url, "GET", "/metrics", key).text
        assert {name for name in ("mine", "theirs") if f'collection="{name}"' in measured} == seen
    learned = call(url, "POST", "/v1/train", some, json={"collection": "theirs"})
    assert (learned.status_code, learned.json()["error"]["param"]) == (403, "collection")
    assert call(url, "POST", "/v1/train", some, json={"collection": "mine"}).is_success
    of_others = call(url, "POST", "/v1/train", everything, json={"collection": "theirs"}).json()["classifier_id"]
    assert {entry["collection"] for entry in call(url, "GET", "/v1/classifiers", some).json()} == {"mine"}
    for method in ("GET", "DELETE"):
        assert call(url, method, f"/v1/classifiers/{of_others}", some).status_code == 403
    asked = {"classifier_id": of_others, "input": "hello"}
    assert call(url, "POST", "/v1/classify", some, json=asked).status_code == 403


def test_a_line_break_after_the_path_is_no_way_past_the_scope(url: str, keys: ApiKeys) -> None:
    _, everything = keys.create("all", Scope.ADMIN)
    _, reader = keys.create("reader", Scope.READ)
    call(url, "PUT", "/v1/collections/broken", everything, json={"encoder": MINILM})

    assert call(url, "GET", "/v1/collections/broken/export%0A", everything).status_code == 200
    assert call(url, "GET", "/v1/collections/broken/export%0A", reader).status_code == 403


def test_a_revoked_key_is_refused_without_a_restart(url: str, keys: ApiKeys) -> None:
    record, key = keys.create("gone", Scope.READ)
    assert call(url, "GET", "/v1/models", key).status_code == 200
    keys.revoke(record.id)
    assert call(url, "GET", "/v1/models", key).status_code == 401


def test_a_key_that_has_used_its_items_waits_for_more(url: str, keys: ApiKeys) -> None:
    _, key = keys.create("frugal", Scope.READ, allowance=Allowance(items_per_minute=60))
    assert call(url, "POST", "/v1/embeddings", key, json={**EMBED, "input": ["text"] * 70}).status_code == 200

    refused = call(url, "POST", "/v1/embeddings", key, json=EMBED)
    assert told(refused)[0::2] == (429, "rate_limit_exceeded")
    assert 8 <= int(refused.headers["Retry-After"]) <= 11, "ten items are owed, at one a second"
    assert "has used its 60 items a minute" in refused.json()["error"]["message"]


def test_a_key_that_has_used_its_bytes_waits_for_more(url: str, keys: ApiKeys) -> None:
    _, key = keys.create("narrow", Scope.READ, allowance=Allowance(bytes_per_minute=1000))
    assert call(url, "POST", "/v1/embeddings", key, json={**EMBED, "input": "a" * 1500}).status_code == 200

    assert call(url, "GET", "/v1/models", key).status_code == 429
