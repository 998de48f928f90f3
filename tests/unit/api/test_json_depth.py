"""The depth of JSON is told without parsing it, and is what a parser finds."""

import asyncio
import json
import random
from types import SimpleNamespace

import httpx
import pytest

from simila.api.application import documented_api
from simila.api.direct_route import DirectRoutes
from simila.api.errors import register_error_handlers
from simila.api.json_depth import DEEPEST_JSON, check_depth
from simila.domain.errors import InvalidJson

SEED = 9
ODD_TEXTS = ("[[[", "]]]", '{"', '\\"[', "\\\\", '"]}"', "\\", "é[", "")


def is_refused(content: bytes, most_levels: int) -> bool:
    try:
        check_depth(content, most_levels)
    except InvalidJson:
        return True
    return False


def test_the_refusal_names_the_limit_and_its_setting() -> None:
    with pytest.raises(InvalidJson, match=r"more than 2 levels \(SIMILA_LIMITS__MAX_JSON_DEPTH\)"):
        check_depth(b"[[[]]]", 2)


def depth_of(value: object) -> int:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if children is None else 1 + max(map(depth_of, children), default=0)


def any_value(chance: random.Random, levels: int) -> object:
    kind = chance.randrange(4) if levels else 0
    if kind == 0:
        return chance.choice((1, None, *ODD_TEXTS))
    children = [any_value(chance, levels - 1) for _ in range(chance.randrange(4))]
    return children if kind == 1 else {f"{place}{chance.choice(ODD_TEXTS)}": one for place, one in enumerate(children)}


@pytest.mark.parametrize("ensure_ascii", [True, False])
def test_what_is_refused_is_what_a_parser_finds_deeper(ensure_ascii: bool) -> None:
    chance, depths = random.Random(SEED), set()
    for _ in range(500):
        value = any_value(chance, chance.randint(0, 8))
        content = json.dumps(value, ensure_ascii=ensure_ascii, indent=chance.choice((None, 1))).encode()
        depth = depth_of(value)
        depths.add(depth)
        assert [is_refused(content, levels) for levels in range(10)] == [depth > levels for levels in range(10)], value
    assert depths == set(range(9))


def test_a_level_that_is_reached_late_is_found() -> None:
    flat = b"[]," * 2**20
    assert not is_refused(b"[" + flat + b"[]]", 2)
    assert is_refused(b"[" + flat + b"[[]]]", 2)


@pytest.mark.parametrize("content", [b"", b"[" * DEEPEST_JSON, b"]]]]", b'"[[[[', b'{"a": "\\', b"\xff[\x00"])
def test_what_is_no_json_and_not_deep_is_left_to_a_parser(content: bytes) -> None:
    assert not is_refused(content, DEEPEST_JSON)


@pytest.mark.parametrize("path", ["/v1/collections/a/search", "/v1/rerank?by=fastapi", "/v2/models/a/infer"])
def test_every_way_to_read_json_keeps_to_the_setting(path: str) -> None:
    api = documented_api()
    api.state.services = SimpleNamespace(images_by_url=None)
    register_error_handlers(api)

    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(DirectRoutes(api, max_json_depth=3))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post(path, json={"text": "a", "filter": {"b": {"$not": {"$gt": 1}}}})

    answer = asyncio.run(post())
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")
    assert "more than 3 levels" in answer.json()["error"]["message"]
