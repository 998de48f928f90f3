"""Every route of Simila's own has a call in the Python client, or a reason in docs/clients.md why not."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import httpx
import numpy as np
import pytest

from simila.api.application import documented_api
from simila_client import AsyncSimila, Example, Item, NotFound, Simila

Call = Callable[[Simila, Path], object]
CALLS: dict[str, Call] = {
    "POST /v1/embeddings": lambda client, _: client.embed(["a"], model="m"),
    "POST /v1/classify": lambda client, _: client.classify(["a"], model="m", labels=["b"]),
    "POST /v1/rerank": lambda client, _: client.rerank("a", ["b"], model="m"),
    "POST /v1/train": lambda client, _: client.train([Example("a", "b")], model="m"),
    "GET /v1/classifiers": lambda client, _: client.classifiers(),
    "GET /v1/classifiers/{classifier_id}": lambda client, _: client.classifier("a"),
    "DELETE /v1/classifiers/{classifier_id}": lambda client, _: client.delete_classifier("a"),
    "PUT /v1/classifiers/{classifier_id}/priors": lambda client, _: client.set_priors("a", priors={"b": 1}),
    "DELETE /v1/classifiers/{classifier_id}/priors": lambda client, _: client.delete_priors("a"),
    "GET /v1/models": lambda client, _: client.models(),
    "GET /v1/models/{model}": lambda client, _: client.model("m"),
    "POST /v1/models/{model}/load": lambda client, _: client.load_model("m"),
    "POST /v1/models/{model}/unload": lambda client, _: client.unload_model("m"),
    "GET /v1/aliases": lambda client, _: client.aliases(),
    "PUT /v1/aliases/{alias}": lambda client, _: client.set_alias("a", "m"),
    "DELETE /v1/aliases/{alias}": lambda client, _: client.delete_alias("a"),
    "GET /v1/collections": lambda client, _: client.collections(),
    "GET /v1/collections/{name}": lambda client, _: client.collection("c"),
    "PUT /v1/collections/{name}": lambda client, _: client.create_collection("c", "m"),
    "DELETE /v1/collections/{name}": lambda client, _: client.delete_collection("c"),
    "GET /v1/collections/{name}/backup": lambda client, folder: client.back_up("c", folder / "backup"),
    "PUT /v1/collections/{name}/backup": lambda client, folder: client.restore("c", folder / "there"),
    "GET /v1/collections/{name}/export": lambda client, folder: client.export("c", folder / "export"),
    "POST /v1/collections/{name}/classify": lambda client, _: client.classify_by_example("c", ["a"]),
    "POST /v1/collections/{name}/count": lambda client, _: client.count("c"),
    "POST /v1/collections/{name}/evaluate": lambda client, _: client.evaluate("c"),
    "POST /v1/collections/{name}/forget": lambda client, _: client.forget("c", ids=["a"]),
    "PUT /v1/collections/{name}/indexes/{key}": lambda client, _: client.create_payload_index("c", "a.b/c"),
    "DELETE /v1/collections/{name}/indexes/{key}": lambda client, _: client.delete_payload_index("c", "a.b/c"),
    "GET /v1/collections/{name}/items": lambda client, _: client.items("c"),
    "POST /v1/collections/{name}/items": lambda client, _: client.upsert("c", [Item("a", "b")]),
    "PATCH /v1/collections/{name}/items": lambda client, _: client.relabel_many("c", ["a"], "b"),
    "POST /v1/collections/{name}/items/delete": lambda client, _: client.delete_items("c", ids=["a"]),
    "POST /v1/collections/{name}/items/scroll": lambda client, _: next(client.scroll("c")),
    "GET /v1/collections/{name}/items/{id}": lambda client, _: client.item("c", "a/b", vector=True),
    "PATCH /v1/collections/{name}/items/{id}": lambda client, _: client.relabel("c", "a/b", None),
    "DELETE /v1/collections/{name}/items/{id}": lambda client, _: client.delete_item("c", "a/b"),
    "POST /v1/collections/{name}/map": lambda client, _: client.make_map("c"),
    "GET /v1/collections/{name}/map": lambda client, _: client.map_state("c"),
    "GET /v1/collections/{name}/map/points": lambda client, _: client.map_points("c", values_of="k"),
    "POST /v1/collections/{name}/migrate": lambda client, _: client.migrate("c", "m"),
    "GET /v1/collections/{name}/migrate": lambda client, _: client.migration("c"),
    "POST /v1/collections/{name}/search": lambda client, _: client.search("c", np.zeros(2)),
    "POST /v1/collections/{name}/search/batch": lambda client, _: client.search_many("c", ["a"]),
    "GET /v1/collections/{name}/thumbnails/{id}": lambda client, _: client.thumbnail("c", "a/b", edge_pixels=64),
}


def own_routes() -> set[str]:
    """The documented routes under /v1; what stands elsewhere is another protocol's, or a probe's."""
    paths = documented_api().openapi()["paths"]
    return {f"{method.upper()} {path}" for path in paths if path.startswith("/v1/") for method in paths[path]}


def test_every_route_of_ours_has_a_call() -> None:
    assert own_routes() == set(CALLS)


@pytest.mark.parametrize(("route", "call"), CALLS.items(), ids=CALLS)
def test_the_call_asks_the_route(tmp_path: Path, route: str, call: Call) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.path}")
        return httpx.Response(404, json={"error": {"message": "no", "code": "not_found"}})

    (tmp_path / "there").touch()
    with Simila("http://server", transport=httpx.MockTransport(answer)) as client, pytest.raises(NotFound):
        call(client, tmp_path)
    assert len(asked) == 1
    assert re.fullmatch(_pattern(route), asked[0])
    # The last segment of these takes slashes; no longer route may be meant.
    assert route == max((one for one in CALLS if re.fullmatch(_pattern(one), asked[0])), key=_plain_characters)


def _pattern(route: str) -> str:
    parts: Iterable[str] = re.split(r"(\{\w+\})", route)
    return "".join({"{id}": ".+", "{key}": ".+"}.get(part, "[^/]+" if part[:1] == "{" else part) for part in parts)


def _plain_characters(route: str) -> int:
    return len(re.sub(r"\{\w+\}", "", route))


def test_both_clients_have_the_same_calls() -> None:
    assert {one for one in dir(Simila) if one[0] != "_"} == {one for one in dir(AsyncSimila) if one[0] != "_"}
