"""A change of the OpenAPI document that breaks clients is seen; one that only adds is not."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from docs import openapi_contract
from docs.openapi_contract import allows_breaking, breaking_changes

REQUEST = {
    "type": "object",
    "additionalProperties": False,
    "required": ["model"],
    "properties": {
        "model": {"type": "string", "minLength": 1},
        "format": {"enum": ["float", "base64"], "type": "string"},
        "limit": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "children": {"type": "array", "items": {"$ref": "#/components/schemas/Request"}},
    },
}
ANSWER = {
    "type": "object",
    "required": ["id", "state"],
    "properties": {
        "id": {"type": "string"},
        "state": {"enum": ["ready"], "type": "string"},
        "note": {"type": "string"},
    },
}
DOCUMENT: dict[str, Any] = {
    "info": {"version": "0.1.0"},
    "components": {"schemas": {"Request": REQUEST, "Answer": ANSWER}},
    "paths": {
        "/things": {
            "post": {
                "parameters": [{"name": "page", "in": "query", "required": False, "schema": {"type": "integer"}}],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Request"}}}},
                "responses": {
                    "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}}}
                },
            }
        }
    },
}


def request_of(document: dict[str, Any]) -> dict[str, Any]:
    return document["components"]["schemas"]["Request"]


def answer_of(document: dict[str, Any]) -> dict[str, Any]:
    return document["components"]["schemas"]["Answer"]


def post_of(document: dict[str, Any]) -> dict[str, Any]:
    return document["paths"]["/things"]["post"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d["paths"].clear(), "POST /things is gone"),
        (lambda d: post_of(d)["parameters"].clear(), "the parameter page is gone"),
        (lambda d: post_of(d)["parameters"][0].update(required=True), "the parameter page is required now"),
        (lambda d: post_of(d)["parameters"][0].update(schema={"type": "string"}), "page is string, not integer"),
        (lambda d: post_of(d)["requestBody"].update(required=True), "body is required now"),
        (lambda d: post_of(d)["requestBody"]["content"].clear(), "application/json is gone"),
        (lambda d: post_of(d)["responses"].clear(), "the answer 200 is gone"),
        (lambda d: request_of(d)["properties"].pop("limit"), "body: limit is gone"),
        (lambda d: request_of(d)["required"].append("limit"), "body: limit is required now"),
        (lambda d: request_of(d)["properties"]["model"].update(minLength=2), "minLength is 2, not 1"),
        (lambda d: request_of(d)["properties"]["format"].update(enum=["float"]), "one of ['float']"),
        (lambda d: request_of(d)["properties"].update(limit={"type": "integer"}), "limit: null is no longer taken"),
        (lambda d: answer_of(d)["properties"].pop("note"), "200: note is gone"),
        (lambda d: answer_of(d).update(required=["id"]), "state is no longer sure"),
        (lambda d: answer_of(d)["properties"]["state"]["enum"].append("new"), "one of ['new', 'ready']"),
        (lambda d: answer_of(d)["properties"]["id"].update(type="integer"), "id is integer, not string"),
    ],
)
def test_what_breaks_a_client_is_told(change: Callable[[dict[str, Any]], Any], sentence: str) -> None:
    changed = copy.deepcopy(DOCUMENT)
    change(changed)
    [found] = breaking_changes(DOCUMENT, changed)
    assert sentence in found


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["paths"].update({"/others": {}}),
        lambda d: post_of(d)["parameters"].append({"name": "new", "required": False, "schema": {}}),
        lambda d: request_of(d)["properties"].update(new={"type": "string"}),
        lambda d: request_of(d).update(required=[]),
        lambda d: request_of(d)["properties"]["model"].pop("minLength"),
        lambda d: request_of(d)["properties"]["format"]["enum"].append("int8"),
        lambda d: request_of(d)["properties"]["limit"]["anyOf"].append({"type": "string"}),
        lambda d: post_of(d)["parameters"][0].update(schema={"type": "number"}),
        lambda d: answer_of(d)["properties"].update(new={"type": "string"}),
        lambda d: answer_of(d)["required"].append("note"),
    ],
)
def test_what_only_adds_breaks_nothing(change: Callable[[dict[str, Any]], Any]) -> None:
    changed = copy.deepcopy(DOCUMENT)
    change(changed)
    assert breaking_changes(DOCUMENT, changed) == []


@pytest.mark.parametrize(
    ("old", "new", "allowed"),
    [
        ("0.1.0", "0.1.9", False),
        ("0.1.0", "0.2.0", True),
        ("0.9.0", "1.0.0", True),
        ("1.2.0", "1.3.0", False),
        ("1.2.0", "2.0.0", True),
    ],
)
def test_the_version_says_whether_it_may(old: str, new: str, allowed: bool) -> None:
    assert allows_breaking(old, new) is allowed


def test_the_code_keeps_the_contract_or_says_so_in_its_version() -> None:
    old, new = json.loads(openapi_contract.CONTRACT.read_text(encoding="utf-8")), openapi_contract.contract()
    changes = breaking_changes(old, new)
    assert not changes or allows_breaking(old["info"]["version"], new["info"]["version"]), "\n".join(changes)
