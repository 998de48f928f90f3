"""What every answer says beside its content."""

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from api.conftest import serving
from simila.api.answer_headers import AnswerHeaders
from simila.settings import Settings

PAGE = "https://shop.example"
GUARDS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


@pytest.fixture(scope="module")
def listed(data_folder: Callable[[], Path]) -> Iterator[httpx.Client]:
    """A server that lists the origin of a page."""
    settings = Settings(data_dir=data_folder(), encoders=("all-minilm-l6-v2",), cors_origins=(PAGE,))
    with serving(settings) as url, httpx.Client(base_url=url) as client:
        yield client


def test_a_request_keeps_the_id_that_its_client_gave(api: httpx.Client) -> None:
    assert api.get("/v1/models", headers={"X-Request-Id": "req-1"}).headers["X-Request-Id"] == "req-1"
    missing = api.get("/v1/models/none", headers={"X-Request-Id": "req-2"})
    assert (missing.status_code, missing.headers["X-Request-Id"]) == (404, "req-2")


@pytest.mark.parametrize("sent", [{}, {"X-Request-Id": ""}, {"X-Request-Id": "a b"}, {"X-Request-Id": "a" * 129}])
def test_a_request_without_a_sound_id_is_given_one(api: httpx.Client, sent: dict[str, str]) -> None:
    given = [api.get("/healthz", headers=sent).headers["X-Request-Id"] for _ in range(2)]
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in given)
    assert given[0] != given[1]


@pytest.mark.parametrize("path", ["/v1/models", "/v1/none", "/v2/health/live"])
def test_browsers_are_told_what_they_must_not_do(api: httpx.Client, path: str) -> None:
    headers = api.get(path).headers
    assert {name: headers[name] for name in GUARDS} == GUARDS
    assert "strict-transport-security" not in headers


def test_pages_have_their_own_policy(api: httpx.Client) -> None:
    assert "content-security-policy" not in api.get("/docs").headers
    policies = api.get("/explorer/").headers.get_list("content-security-policy")
    assert [policy.startswith("default-src 'none'; script-src 'self'") for policy in policies] == [True]


def test_over_tls_browsers_are_to_stay_with_it() -> None:
    async def answer(_, __, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "headers": [], "path": "/"}
    asyncio.run(AnswerHeaders(answer, is_tls=True)(scope, None, send))
    assert dict(sent[0]["headers"])[b"strict-transport-security"] == b"max-age=31536000"


def preflight(client: httpx.Client, origin: str) -> httpx.Response:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    return client.options("/v1/embeddings", headers={**asked, "Access-Control-Request-Headers": "authorization"})


def test_pages_of_other_origins_are_let_in_where_they_are_listed(listed: httpx.Client) -> None:
    allowed = preflight(listed, PAGE)
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, PAGE)
    answer = listed.get("/v1/models", headers={"Origin": PAGE})
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "access-control-allow-credentials" not in answer.headers
    other = listed.get("/v1/models", headers={"Origin": "https://other.example"})
    assert "access-control-allow-origin" not in other.headers
    assert preflight(listed, "https://other.example").status_code == 400


def test_pages_of_other_origins_are_not_let_in_otherwise(api: httpx.Client) -> None:
    assert "access-control-allow-origin" not in preflight(api, PAGE).headers
    assert "access-control-allow-origin" not in api.get("/v1/models", headers={"Origin": PAGE}).headers
