"""Small pieces of requests and answers."""

import base64
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

DIMENSION = 1280
"""Of the vectors of efficientnet-lite0."""


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def embed(api: httpx.Client, model: str, inputs: Any, **options: Any) -> dict[str, Any]:
    response = api.post("/v1/embeddings", json={"model": model, "input": inputs, **options})
    assert response.status_code == httpx.codes.OK, response.text
    body: dict[str, Any] = response.json()
    return body


def vectors(body: dict[str, Any]) -> NDArray[np.float32]:
    return np.array([entry["embedding"] for entry in body["data"]], dtype=np.float32)


def error(response: httpx.Response) -> dict[str, Any]:
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    detail: dict[str, Any] = body["error"]
    return detail


def upsert(api: httpx.Client, path: str, *items: dict) -> dict:
    response = api.post(f"{path}/items", json={"items": list(items)})
    assert response.status_code == httpx.codes.OK, response.text
    return response.json()


def search(api: httpx.Client, path: str, **query: object) -> list[dict]:
    response = api.post(f"{path}/search", json=query)
    assert response.status_code == httpx.codes.OK, response.text
    return response.json()["results"]


def axis(position: int, scale: float = 1.0) -> list[float]:
    vector = [0.0] * DIMENSION
    vector[position] = scale
    return vector
