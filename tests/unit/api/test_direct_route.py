"""Direct routes answer as FastAPI's own do, and are documented by FastAPI."""

import asyncio
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field

from simila.api.direct_route import DirectRoute, DirectRoutes


class Greeting(BaseModel):
    model_config = ConfigDict(extra="forbid")

    word: str
    times: Annotated[int, Field(ge=1)] = 1


class Greeted(BaseModel):
    text: str


class Services(str):
    images_by_url = None


SERVICES = Services("services")


async def services() -> str:
    return SERVICES


async def greet(name: str, body: Greeting, services: Annotated[str, Depends(services)], request: Request) -> Greeted:
    return Greeted(text=f"{request.method} {services} {body.word * body.times}, {name}")


def post(route_class, path="/greet/Zoë", **request):
    router = APIRouter(route_class=route_class)
    router.post("/greet/{name}")(greet)
    api = FastAPI(routes=router.routes)
    api.state.services = SERVICES

    async def send():
        transport = httpx.ASGITransport(DirectRoutes(api))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post(path, **request)

    return asyncio.run(send()), api.openapi()


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b'{"word": "hi", "times": 2}', JSON, 200),
        (b'{"word": "hi", "times": "2"}', JSON, 200),
        (b'{"word": "hi"}', {"content-type": "application/json; charset=utf-8"}, 200),
        (b'{"word": "hi"}', {"content-type": "application/vnd.greeting+json"}, 200),
        ('{"word": "hi"}'.encode("utf-16"), JSON, 200),
        (b'{"word": "hi", "word": "ho"}', JSON, 200),
        (b'{"word": "hi", "times": 0}', JSON, 422),
        (b'{"word": "hi", "mood": 1}', JSON, 422),
        (b'{"word": ', JSON, 422),
        (b"", JSON, 422),
        (b'{"word": "hi"}', {"content-type": "text/plain"}, 422),
        (b'{"word": "hi"}', {}, 422),
        (b"[" * 100_000, JSON, 400),
    ],
)
def test_both_ways_accept_the_same_and_refuse_alike(content, headers, status):
    direct, direct_document = post(DirectRoute, content=content, headers=headers)
    plain, plain_document = post(APIRouter().route_class, content=content, headers=headers)
    assert (direct.status_code, direct.json()) == (plain.status_code, plain.json())
    assert direct.status_code == status
    assert direct_document == plain_document


def test_the_answer_is_the_endpoints():
    response, _ = post(DirectRoute, json={"word": "hi", "times": 2})
    assert response.json() == {"text": "POST services hihi, Zoë"}
    assert response.headers["content-type"] == "application/json"


def test_the_direct_way_is_taken(monkeypatch):
    async def unreachable(*_, **__):
        raise AssertionError("FastAPI was asked")

    monkeypatch.setattr(FastAPI, "__call__", unreachable)
    response, _ = post(DirectRoute, json={"word": "hi"})
    assert response.json() == {"text": "POST services hi, Zoë"}
