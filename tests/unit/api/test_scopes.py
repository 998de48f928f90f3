"""Which key each route of the server asks for."""

import pytest

from simila.api.application import documented_api
from simila.api.scopes import Need, need_of
from simila.domain.access import Scope

PUBLIC = {"/health", "/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"}
READING_POSTS = {
    "/v1/embeddings",
    "/v1/classify",
    "/v1/rerank",
    "/v1/collections/{name}/search",
    "/v1/collections/{name}/search/batch",
    "/v1/collections/{name}/classify",
    "/v1/collections/{name}/evaluate",
    "/v1/collections/{name}/count",
    "/v1/collections/{name}/map",
    "/v1/collections/{name}/items/scroll",
    "/",
    "/embeddings",
    "/embed",
    "/similarity",
    "/tokenize",
    "/tei/{model}",
    "/tei/{model}/embed",
    "/tei/{model}/similarity",
    "/tei/{model}/tokenize",
    "/v2/models/{model}/infer",
    "/v2/models/{model}/versions/{version}/infer",
    "/v2/repository/index",
}
WRITES = {
    ("POST", "/v1/train"),
    ("DELETE", "/v1/classifiers/{classifier_id}"),
    ("PUT", "/v1/classifiers/{classifier_id}/priors"),
    ("DELETE", "/v1/classifiers/{classifier_id}/priors"),
    ("POST", "/v1/collections/{name}/forget"),
    ("POST", "/v1/collections/{name}/migrate"),
    ("PUT", "/v1/collections/{name}"),
    ("DELETE", "/v1/collections/{name}"),
    ("PUT", "/v1/collections/{name}/indexes/{key}"),
    ("DELETE", "/v1/collections/{name}/indexes/{key}"),
    ("POST", "/v1/collections/{name}/items"),
    ("POST", "/v1/collections/{name}/items/delete"),
    ("PATCH", "/v1/collections/{name}/items"),
    ("PATCH", "/v1/collections/{name}/items/{id}"),
    ("DELETE", "/v1/collections/{name}/items/{id}"),
}
ADMIN = {
    ("GET", "/v1/collections/{name}/backup"),
    ("PUT", "/v1/collections/{name}/backup"),
    ("GET", "/v1/collections/{name}/export"),
    ("POST", "/v1/models/{model}/load"),
    ("POST", "/v1/models/{model}/unload"),
    ("PUT", "/v1/aliases/{alias}"),
    ("DELETE", "/v1/aliases/{alias}"),
    ("POST", "/v2/repository/models/{model}/load"),
    ("POST", "/v2/repository/models/{model}/unload"),
}
OPERATIONS = [
    (method.upper(), path) for path, methods in documented_api().openapi()["paths"].items() for method in methods
]


def expected(method: str, path: str) -> Scope | None:
    if path in PUBLIC:
        return None
    if (method, path) in ADMIN:
        return Scope.ADMIN
    if (method, path) in WRITES:
        return Scope.WRITE
    assert method == "GET" or path in READING_POSTS, "a new route: say here and in simila.api.scopes what it asks for"
    return Scope.READ


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_route_asks_for_the_scope_that_its_doings_have(method: str, path: str) -> None:
    called = path.replace("{", "").replace("}", "")
    assert need_of(method, called).scope == expected(method, path)


def test_the_collection_of_a_path_is_known() -> None:
    assert need_of("POST", "/v1/collections/shoes/search") == Need(Scope.READ, "shoes")
    assert need_of("GET", "/v1/collections/shoes/items/a/b") == Need(Scope.READ, "shoes")
    assert need_of("GET", "/v1/collections") == Need(Scope.READ)


@pytest.mark.parametrize("path", ["/v1/collections/a/export", "/v1/collections/a/backup", "/v1/collections/a\n/backup"])
def test_a_line_break_after_a_path_opens_no_other_door(path: str) -> None:
    assert need_of("GET", f"{path}\n").scope == need_of("GET", path).scope == Scope.ADMIN


@pytest.mark.parametrize("path", ["/v1/unknown", "/v1/collections/a/b/c", "/healthz/", "/explorers", "/v1/train/x"])
def test_what_nobody_has_thought_of_takes_the_highest_scope(path: str) -> None:
    assert need_of("POST", path).scope == Scope.ADMIN
