"""The OpenAPI document: it has an example for every route, and each does what it is there for."""

from typing import Any

import httpx
import pytest

from api.story import told
from simila.api.openapi_examples import EXAMPLES


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


def test_every_route_may_be_sent_a_key_in_either_header_and_none_where_no_key_is_needed(
    document: dict[str, Any],
) -> None:
    schemes = document["components"]["securitySchemes"]
    assert document["security"] == [{}, {"bearer": []}, {"api-key": []}]
    assert (schemes["bearer"]["type"], schemes["bearer"]["scheme"]) == ("http", "bearer")
    assert (schemes["api-key"]["in"], schemes["api-key"]["name"]) == ("header", "api-key")


def test_every_example_is_answered_as_documented(api: httpx.Client, document: dict[str, Any]) -> None:
    for example, response in told(api):
        method, path = example.operation.split()
        documented = document["paths"][path][method.lower()]["responses"]
        assert response.is_success, (example.operation, response.text)
        assert str(response.status_code) in documented, example.operation
