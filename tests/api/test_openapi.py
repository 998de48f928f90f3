"""The OpenAPI document: it has an example for every route, and each does what it is there for."""

import json
import time
from typing import Any

import httpx
import pytest

from simila.api.openapi_examples import CLASSIFIER, EXAMPLES, Example

PATIENCE_SECONDS = 30


@pytest.fixture(scope="module")
def document(api: httpx.Client) -> dict[str, Any]:
    return api.get("/openapi.json").json()


def operations(document: dict[str, Any]) -> list[str]:
    return [f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods]


def test_every_route_has_an_example(document: dict[str, Any]) -> None:
    examples = [example.operation for example in EXAMPLES]
    assert sorted(examples) == sorted(operations(document)), "see simila/api/openapi_examples.py"


def test_the_document_shows_the_examples(document: dict[str, Any]) -> None:
    search = document["paths"]["/v1/collections/{name}/search"]["post"]
    assert search["requestBody"]["content"]["application/json"]["example"]["text"] == "something for jogging"
    assert {one["name"]: one.get("example") for one in search["parameters"]}["name"] == "shoes"


def test_every_example_is_answered_as_documented(api: httpx.Client, document: dict[str, Any]) -> None:
    answers: dict[str, httpx.Response] = {}
    for example in EXAMPLES:
        classifier = answers["POST /v1/train"].json()["classifier_id"] if "POST /v1/train" in answers else ""
        answers[example.operation] = response = ask(api, example, classifier, answers)
        method, path = example.operation.split()
        documented = document["paths"][path][method.lower()]["responses"]
        assert response.is_success, (example.operation, response.text)
        assert str(response.status_code) in documented, example.operation
        if example.operation.endswith(("/migrate", "/map")):
            wait_for(api, f"/v1/collections/shoes/{path.rpartition('/')[2]}")


def ask(api: httpx.Client, example: Example, classifier: str, answers: dict[str, httpx.Response]) -> httpx.Response:
    method, path = example.operation.split()
    for name, value in example.path.items():
        path = path.replace(f"{{{name}}}", value.replace(CLASSIFIER, classifier))
    query = {name: json.dumps(value) if isinstance(value, bool) else value for name, value in example.query.items()}
    if example.body_from:
        source = answers[example.body_from]
        headers = {"content-type": source.headers["content-type"]}
        return api.request(method, path, params=query, content=source.content, headers=headers)
    return api.request(method, path, params=query, json=example.body)


def wait_for(api: httpx.Client, job: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (state := api.get(job).json()["state"]) == "running":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert state == "done"
